//! Installing seccomp filters (seccomp(2)).

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// One instruction of classic BPF (struct sock_filter).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    pub code: u16,
    pub jump_true: u8,
    pub jump_false: u8,
    pub k: u32,
}

#[repr(C)]
struct Program {
    length: u16,
    instructions: *const Instruction,
}

/// Adds a filter to the calling thread. With `SECCOMP_FILTER_FLAG_NEW_LISTENER` among `flags` the answer is the listener.
/// Needs no_new_privs or CAP_SYS_ADMIN in the user namespace.
pub fn install(instructions: &[Instruction], flags: u32) -> io::Result<Option<OwnedFd>> {
    let length = u16::try_from(instructions.len())
        .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let program = Program {
        length,
        instructions: instructions.as_ptr(),
    };
    // SAFETY: `program` names `length` instructions that live beyond the call; the kernel copies and checks them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::c_ulong::from(flags),
            &raw const program,
        )
    };
    match result {
        -1 => Err(io::Error::last_os_error()),
        fd if u64::from(flags) & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER != 0 => {
            // SAFETY: with NEW_LISTENER a success is a new descriptor that nobody else owns.
            Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
        }
        // With TSYNC a positive answer is the thread that could not be synchronised.
        0 => Ok(None),
        _ => Err(io::Error::from_raw_os_error(libc::ESRCH)),
    }
}
