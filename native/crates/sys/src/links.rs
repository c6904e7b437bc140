//! Network devices (netdevice(7)).

use std::io;
use std::os::fd::AsRawFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// Of <linux/sockios.h>.
const SIOCGIFFLAGS: libc::Ioctl = 0x8913 as libc::Ioctl;
const SIOCSIFFLAGS: libc::Ioctl = 0x8914 as libc::Ioctl;

/// struct ifreq, where its union holds the flags.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    rest: [u8; 22],
}

/// Brings the loopback device of the caller's network namespace up; its addresses come with that. Needs CAP_NET_ADMIN there.
pub fn loopback_up() -> io::Result<()> {
    // Any family will do for this request; this one there is in every kernel.
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let mut request = Request {
        name: [0; libc::IFNAMSIZ],
        flags: 0,
        rest: [0; 22],
    };
    request.name[..2].copy_from_slice(b"lo");
    let ask = |number, request: &mut Request| {
        // SAFETY: `request` has the layout and the size of struct ifreq, and its name ends in a zero.
        match unsafe { libc::ioctl(socket.as_raw_fd(), number, &raw mut *request) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    };
    ask(SIOCGIFFLAGS, &mut request)?;
    request.flags |= libc::IFF_UP as libc::c_short;
    ask(SIOCSIFFLAGS, &mut request)
}
