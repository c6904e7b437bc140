//! A seccomp agent, for the host's side: listens where a specification's `listenerPath` says, prints the container process state
//! that comes with each listener, and answers every call that the filter asks about with one error number.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;

/// SECCOMP_IOCTL_NOTIF_RECV and SECCOMP_IOCTL_NOTIF_SEND of <linux/seccomp.h>.
pub const RECV: libc::Ioctl = 0xc050_2100;
pub const SEND: libc::Ioctl = 0xc018_2101;
/// Longest state that is read.
const STATE: usize = 1 << 20;

pub fn run(arguments: &[String]) -> ExitCode {
    let (Some(path), Some(errno)) = (
        arguments.first(),
        arguments.get(1).and_then(|text| text.parse::<i32>().ok()),
    ) else {
        return ExitCode::from(2);
    };
    let listener = match UnixListener::bind(path) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("seccomp-agent: {path}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("listening");
    for stream in listener.incoming().flatten() {
        let Some((state, notifications)) = receive(&stream) else {
            println!("no listener came");
            continue;
        };
        println!("{state}");
        std::thread::spawn(move || answer(&notifications, errno));
    }
    ExitCode::SUCCESS
}

/// One message, with one descriptor.
pub fn receive(stream: &UnixStream) -> Option<(String, OwnedFd)> {
    let mut state = vec![0_u8; STATE];
    let mut control = [0_u64; 8];
    let mut part = IoSliceMut::new(&mut state);
    // SAFETY: all zeroes is an empty message; what it points to outlives the call.
    let (length, descriptor) = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = (&raw mut part).cast();
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        let length = libc::recvmsg(stream.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC);
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if length <= 0 || header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
            return None;
        }
        let descriptor = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
        (length, OwnedFd::from_raw_fd(descriptor))
    };
    let text = String::from_utf8_lossy(&state[..usize::try_from(length).ok()?]).into_owned();
    Some((text, descriptor))
}

fn answer(notifications: &OwnedFd, errno: i32) {
    loop {
        // SAFETY: both structures are the kernel's own, as large as the requests say, and the first one has to be zero.
        let result = unsafe {
            let mut asked: libc::seccomp_notif = std::mem::zeroed();
            if libc::ioctl(notifications.as_raw_fd(), RECV, &raw mut asked) < 0 {
                // The last process with the filter is gone, or this one before it was looked at.
                if std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOENT)
                    && alive(notifications)
                {
                    continue;
                }
                return;
            }
            let mut response = libc::seccomp_notif_resp {
                id: asked.id,
                val: 0,
                error: -errno,
                flags: 0,
            };
            println!("asked about {} by {}", asked.data.nr, asked.pid);
            libc::ioctl(notifications.as_raw_fd(), SEND, &raw mut response)
        };
        if result < 0 && !alive(notifications) {
            return;
        }
    }
}

/// Whether any process still has the filter.
fn alive(notifications: &OwnedFd) -> bool {
    let mut poll = libc::pollfd {
        fd: notifications.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one structure, as is said.
    unsafe { libc::poll(&raw mut poll, 1, 0) };
    poll.revents & libc::POLLHUP == 0
}
