//! clone3(2) as a fork: the child gets a copy of the memory, never a share of it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The other side of a [`fork`].
#[derive(Debug)]
pub enum Forked {
    /// In the caller: the new process's id in the caller's active pid namespace, and its pidfd.
    Parent { pid: i32, pidfd: OwnedFd },
    /// In the new process.
    Child,
}

/// `CLONE_*` namespace and parentage flags of [`fork`]; never one that shares memory, signal handlers or threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ForkFlags(u64);

impl ForkFlags {
    /// The new process becomes a child of the caller's parent, and its end is told by the signal the caller's own end would be.
    pub const SIBLING: ForkFlags = ForkFlags(libc::CLONE_PARENT as u64);
    /// Both processes use one descriptor table.
    pub const SHARE_DESCRIPTORS: ForkFlags = ForkFlags(libc::CLONE_FILES as u64);
    pub const NEW_USER: ForkFlags = ForkFlags(libc::CLONE_NEWUSER as u64);
    pub const NEW_PID: ForkFlags = ForkFlags(libc::CLONE_NEWPID as u64);
    pub const NEW_NETWORK: ForkFlags = ForkFlags(libc::CLONE_NEWNET as u64);
    pub const NEW_IPC: ForkFlags = ForkFlags(libc::CLONE_NEWIPC as u64);
    pub const NEW_UTS: ForkFlags = ForkFlags(libc::CLONE_NEWUTS as u64);

    pub const fn empty() -> ForkFlags {
        ForkFlags(0)
    }

    #[must_use]
    pub const fn with(self, other: ForkFlags) -> ForkFlags {
        ForkFlags(self.0 | other.0)
    }

    pub const fn contains(self, other: ForkFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Of <linux/sched.h>; libc's constant is too narrow.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks. The child's end sends SIGCHLD, except with [`ForkFlags::SIBLING`]. With `cgroup` (a cgroup v2 directory) the child is
/// born in it. A seccomp filter that knows no clone3(2) leaves clone(2).
///
/// # Safety
/// The caller must have a single thread: the child gets a copy of whatever locks other threads hold.
pub unsafe fn fork(flags: ForkFlags, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    let mut pidfd: i32 = -1;
    // SAFETY: clone_args is plain data for which all zeroes is a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags.0 | libc::CLONE_PIDFD as u64;
    args.pidfd = (&raw mut pidfd) as u64;
    if !flags.contains(ForkFlags::SIBLING) {
        args.exit_signal = libc::SIGCHLD as u64;
    }
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: no flag shares memory and no stack is given, so this behaves as fork; the caller vouches for a single thread.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const args,
            size_of::<libc::clone_args>(),
        )
    };
    let without_clone3 = || io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS);
    let pid = if pid == -1 && cgroup.is_none() && without_clone3() {
        let flags = args.flags | args.exit_signal;
        // SAFETY: as above; without CLONE_PARENT_SETTID the third argument is where the pidfd goes.
        unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) }
    } else {
        pid
    };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent {
            pid: pid as i32,
            // SAFETY: the kernel has stored a descriptor that nobody else knows.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}
