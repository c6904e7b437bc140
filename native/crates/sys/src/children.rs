//! Children of a long-lived parent: making them without shared memory, and learning of their ends. Takes no decision.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The end of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub pid: i32,
    /// 0-255; a death by signal n is 128 + n.
    pub status: u32,
}

/// Runs `body` in a forked child that has every descriptor but 0-2 and `kept` closed, no signal blocked, SIGPIPE at its
/// default, and ends with what `body` returns; 101 if it panics. Returns the child's pid, and drops `body` in the parent.
///
/// The caller must have a single thread: in the child of a process with several, locks of the others stay taken for ever.
///
/// # Errors
/// The kernel's, as fork(2) names them.
pub fn spawn<F: FnOnce() -> i32>(kept: &[RawFd], body: F) -> io::Result<i32> {
    // SAFETY: fork has no arguments and touches no memory of ours; both sides go on with their own copy.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            close_all_but(kept);
            unblock_signals();
            let status = catch_unwind(AssertUnwindSafe(body)).unwrap_or(101);
            // SAFETY: _exit takes a number and does not return; destructors belong to the parent.
            unsafe { libc::_exit(status) }
        }
        pid => Ok(pid),
    }
}

fn close_all_but(kept: &[RawFd]) {
    let mut kept: Vec<u32> = kept
        .iter()
        .filter_map(|fd| u32::try_from(*fd).ok())
        .collect();
    kept.sort_unstable();
    let mut first: u32 = 3;
    for fd in kept {
        if fd > first {
            close_range(first, fd - 1);
        }
        first = first.max(fd + 1);
    }
    close_range(first, u32::MAX);
}

/// Closes every descriptor from 3 on but these, for a process at its start that owns no others.
pub fn close_inherited(kept: &[BorrowedFd<'_>]) {
    close_all_but(&kept.iter().map(AsRawFd::as_raw_fd).collect::<Vec<_>>());
}

fn close_range(first: u32, last: u32) {
    // SAFETY: takes numbers only. Owners of these descriptors are never dropped in this process (see the callers).
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
}

fn unblock_signals() {
    // SAFETY: an all-zero set is initialized by sigemptyset before use; SIG_DFL is no handler of ours.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// A child that has ended, if there is one; it stays unreaped, so its pid stays its own.
#[must_use]
pub fn peek() -> Option<Ended> {
    wait(libc::P_ALL, 0, libc::WNOWAIT)
}

/// Collects a child that has ended.
#[must_use]
pub fn reap(pid: i32) -> Option<Ended> {
    wait(libc::P_PID, libc::id_t::try_from(pid).ok()?, 0)
}

/// Whether this is a child of the caller, alive or unreaped.
#[must_use]
pub fn is_child(pid: i32) -> bool {
    let Ok(id) = libc::id_t::try_from(pid) else {
        return false;
    };
    // SAFETY: all-zero is a valid siginfo_t, which the kernel overwrites.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    // SAFETY: `info` is a valid place for the answer.
    pid > 0 && unsafe { libc::waitid(libc::P_PID, id, &raw mut info, flags) } == 0
}

fn wait(kind: libc::idtype_t, id: libc::id_t, flags: i32) -> Option<Ended> {
    // SAFETY: all-zero is a valid siginfo_t, which the kernel overwrites.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = flags | libc::WEXITED | libc::WNOHANG | libc::__WALL;
    // SAFETY: `info` is a valid place for the answer.
    if unsafe { libc::waitid(kind, id, &raw mut info, flags) } != 0 {
        return None;
    }
    // SAFETY: waitid fills the SIGCHLD members; they are zero where no child has ended (waitid(2), WNOHANG).
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return None;
    }
    let number = u32::try_from(status).unwrap_or(0) & 0xff;
    Some(Ended {
        pid,
        status: if info.si_code == libc::CLD_EXITED {
            number
        } else {
            128 + number
        },
    })
}

/// Blocks these signals and returns a descriptor that becomes readable when one is pending (signalfd(2)).
///
/// # Errors
/// The kernel's.
pub fn signal_descriptor(signals: &[i32]) -> io::Result<OwnedFd> {
    // SAFETY: the set is initialized by sigemptyset; a new descriptor belongs to nobody else.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) == -1 {
            return Err(io::Error::last_os_error());
        }
        let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd == -1 {
            Err(io::Error::last_os_error())
        } else {
            Ok(OwnedFd::from_raw_fd(fd))
        }
    }
}

/// The next pending signal of such a descriptor.
#[must_use]
pub fn next_signal(descriptor: BorrowedFd<'_>) -> Option<i32> {
    // SAFETY: signalfd_siginfo is plain data.
    let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: `info` has room for `size` bytes.
    let got = unsafe { libc::read(descriptor.as_raw_fd(), (&raw mut info).cast(), size) };
    if usize::try_from(got) == Ok(size) {
        i32::try_from(info.ssi_signo).ok()
    } else {
        None
    }
}

/// Ignores SIGPIPE, so that a peer's end is an error of the write alone.
pub fn ignore_sigpipe() {
    // SAFETY: SIG_IGN is no handler of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// A signal to send, by its number: 1-31, or a real-time one.
#[must_use]
pub fn signal(number: u32) -> Option<rustix::process::Signal> {
    let number = i32::try_from(number)
        .ok()
        .filter(|number| (1..=64).contains(number))?;
    // SAFETY: in range. The numbers that the C library keeps for itself must not be handled by others; they may be sent.
    Some(unsafe { rustix::process::Signal::from_raw_unchecked(number) })
}

/// Gives descriptors the numbers that a program expects, without the flag that would close them on execve. For a child that is
/// about to execute: whatever had these numbers is replaced.
///
/// # Errors
/// The kernel's.
pub fn place(descriptors: &[(&OwnedFd, RawFd)]) -> io::Result<()> {
    let above = descriptors
        .iter()
        .map(|(_, number)| number + 1)
        .max()
        .unwrap_or(0);
    let mut copies = Vec::new();
    for (descriptor, number) in descriptors {
        // SAFETY: takes numbers only; the copy's owner ends with this process.
        let copy = unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, above) };
        if copy == -1 {
            return Err(io::Error::last_os_error());
        }
        copies.push((copy, *number));
    }
    for (copy, number) in copies {
        // SAFETY: takes numbers only; what had the number is given up by the caller (see above).
        if unsafe { libc::dup2(copy, number) } == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
