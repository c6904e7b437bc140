//! Making processes and cleaning what they inherit. Takes no decision: which descriptors and signals to keep is the caller's.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Which side of a fork this is.
pub enum Fork {
    /// The new process.
    Child,
    /// The caller, with the pid of the new process.
    Parent(i32),
}

/// Forks without sharing memory (fork(2)).
///
/// To be called while the process has a single thread: in the child of a process with several, locks of the others stay
/// taken for ever.
///
/// # Errors
/// The kernel's, as fork(2) names them.
pub fn fork() -> io::Result<Fork> {
    // SAFETY: fork has no arguments and touches no memory of ours; both sides go on with their own copy.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// Closes every descriptor from 3 on but `kept` (close_range(2)).
///
/// For a process just forked, or about to execute another program: owners of such descriptors in this process must not use or
/// drop them any more.
///
/// # Errors
/// The kernel's; none is expected on Linux 5.9 or later.
pub fn close_all_but(kept: &[RawFd]) -> io::Result<()> {
    let mut kept: Vec<u32> = kept
        .iter()
        .filter_map(|fd| u32::try_from(*fd).ok())
        .filter(|fd| *fd > 2)
        .collect();
    kept.sort_unstable();
    let mut first = 3;
    for fd in kept.into_iter().chain([u32::MAX]) {
        let last = if fd == u32::MAX { fd } else { fd - 1 };
        if first <= last {
            // SAFETY: close_range takes numbers only; who may still use the descriptors is said above.
            if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == -1 {
                return Err(io::Error::last_os_error());
            }
        }
        first = fd.saturating_add(1);
    }
    Ok(())
}

/// Puts /dev/null where one of the descriptors 0 to 2 is not open, so that nothing else gets such a number. To be called first of all.
pub fn open_standard_descriptors() {
    for number in 0..=2 {
        // SAFETY: asks for a flag of a number that may not be open at all; the path is a constant. The lowest number that is free is
        // this one, and it stays open for the whole process, as nobody's.
        unsafe {
            if libc::fcntl(number, libc::F_GETFD) == -1 {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            }
        }
    }
}

/// Takes over a descriptor that whoever executed this program left open for it, and marks it close-on-exec; None if there is
/// none of that number.
///
/// To be called once for each number, before anything else could have opened a descriptor of it.
pub fn adopt_descriptor(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: fcntl on a number that may not be open at all is harmless.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return None;
    }
    // SAFETY: it is open, and the caller vouches that nobody else in this process owns it.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Ends the process at once: no destructors, no flushing of buffers that the parent owns as well (_exit(2)).
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit takes a number and does not return.
    unsafe { libc::_exit(status) }
}

/// Sets every signal to its default action and unblocks all of them (rt_sigaction(2), rt_sigprocmask(2)). Asks the kernel
/// itself: the C library leaves out the two signals it keeps for its threads, and whoever started us may ignore those.
pub fn reset_signals() {
    /// Bytes of the kernel's sigset_t, and of its struct sigaction at its longest; all zeroes: default action, no flags,
    /// empty set.
    const SET: usize = 8;
    let zeroes = [0u64; 4];
    for signal in 1..=64 {
        // SAFETY: the new action is only read and shorter than `zeroes`; a default action calls no code of ours. The two
        // signals that can't be changed are refused.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                zeroes.as_ptr(),
                std::ptr::null_mut::<u8>(),
                SET,
            )
        };
    }
    // SAFETY: the new mask is only read.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            zeroes.as_ptr(),
            std::ptr::null_mut::<u8>(),
            SET,
        )
    };
}
