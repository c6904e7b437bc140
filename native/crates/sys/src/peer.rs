//! Who is at the other end of a unix socket (unix(7), SO_PEERCRED).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A peer as it was when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// None: it has no number in the caller's pid namespace. (rustix's type for it can't say that.)
    pub pid: Option<i32>,
    pub uid: u32,
    pub gid: u32,
}

/// The peer of a connected socket.
pub fn of(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `peer`, for which every value of these bytes is one.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(Peer {
        pid: Some(peer.pid).filter(|pid| *pid > 0),
        uid: peer.uid,
        gid: peer.gid,
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn the_other_end_of_a_pair_is_its_maker() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let peer = of(one.as_fd()).unwrap();
        assert_eq!(peer.pid, i32::try_from(std::process::id()).ok());
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert_eq!(peer.gid, rustix::process::getegid().as_raw());
    }
}
