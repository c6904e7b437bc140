//! Who may connect to the pod's socket: a process of the keeper's own user and group, in its own user namespace. The socket's mode
//! keeps everybody else out as well; this holds where a file system's permissions don't, for the root of a user namespace that was
//! given the host's root.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};

/// Nothing if the peer may speak, else why it may not.
pub fn refuse(socket: &OwnedFd) -> Option<String> {
    let peer = match sys::peer::of(socket.as_fd()) {
        Ok(peer) => peer,
        Err(error) => return Some(format!("who the peer is can't be had: {error}")),
    };
    let (uid, gid) = (peer.uid, peer.gid);
    let own = (rustix::process::geteuid(), rustix::process::getegid());
    if (uid, gid) != (own.0.as_raw(), own.1.as_raw()) {
        return Some(format!("peer is uid {uid}, gid {gid}"));
    }
    let Some(pid) = peer.pid else {
        return Some("peer is in another pid namespace, and can't be looked at".to_owned());
    };
    match is_here(pid) {
        Ok(true) => None,
        Ok(false) => Some(format!("peer {pid} is in another user namespace")),
        Err(error) => Some(format!("peer {pid}: its user namespace: {error}")),
    }
}

/// Whether the process is in this one's user namespace. A keeper in its Landlock domain may not read the link of a process outside;
/// the id map, which everybody may read, then has to be its own: the host's root can be given to a namespace in part, and is so by
/// all that is usual, or with every other id.
fn is_here(pid: i32) -> std::io::Result<bool> {
    match fs::read_link(format!("/proc/{pid}/ns/user")) {
        Ok(theirs) => Ok(theirs == fs::read_link("/proc/self/ns/user")?),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let map = |process: &str| fs::read(format!("/proc/{process}/uid_map"));
            Ok(map(&pid.to_string())? == map("self")?)
        }
        Err(error) => Err(error),
    }
}
