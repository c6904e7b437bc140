//! Namespaces by descriptor (ioctl_nsfs(2), setns(2), unshare(2)).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `NS_GET_USERNS` and `NS_GET_NSTYPE` of <linux/nsfs.h>.
const NS_GET_USERNS: libc::Ioctl = 0xb701;
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;

/// The user namespace that owns `namespace`. EPERM when it lies outside the caller's own.
pub fn owner(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: this request takes no argument and returns a descriptor.
    let fd = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_USERNS) };
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The `CLONE_NEW*` flag of the namespace's kind.
pub fn kind(namespace: BorrowedFd<'_>) -> io::Result<i32> {
    // SAFETY: this request takes no argument and returns a number.
    let kind = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_NSTYPE) };
    if kind == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(kind)
    }
}

/// setns(2): enters the namespace behind a namespace descriptor (one `CLONE_NEW*` flag, which is checked against it), or those
/// of the process behind a pidfd (several flags, all or none).
pub fn enter(descriptor: BorrowedFd<'_>, flags: i32) -> io::Result<()> {
    // SAFETY: numbers only.
    if unsafe { libc::setns(descriptor.as_raw_fd(), flags) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// unshare(2) with `CLONE_NEW*` flags.
pub fn unshare(flags: i32) -> io::Result<()> {
    debug_assert_eq!(flags & (libc::CLONE_FILES | libc::CLONE_VM), 0);
    // SAFETY: namespace flags change no memory and no descriptor of the caller.
    if unsafe { libc::unshare(flags) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
