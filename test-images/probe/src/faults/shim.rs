//! The program in the shim's place.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use super::calls::CALLS;

/// Socket of the process that answers.
const SOCKET: &str = "BRIG_FAULTS_SOCKET";
/// Directory of the real shim.
const PROGRAMS: &str = "BRIG_FAULTS_PROGRAMS";

pub fn run(name: &str, arguments: &[String]) -> ExitCode {
    let (Some(socket), Some(programs)) = (std::env::var_os(SOCKET), std::env::var_os(PROGRAMS))
    else {
        eprintln!("{name}: {SOCKET} and {PROGRAMS} must be set");
        return ExitCode::from(2);
    };
    // Before the filter is there: from then on nothing may be called that it asks about until somebody answers.
    let stream = match UnixStream::connect(&socket) {
        Ok(stream) => stream,
        Err(error) => {
            eprintln!("{name}: {}: {error}", socket.display());
            return ExitCode::FAILURE;
        }
    };
    match install() {
        Ok(listener) => {
            if hand_over(&stream, &listener).is_err() {
                // Not told: standard error is asked about as well, and nobody answers.
                return ExitCode::FAILURE;
            }
        }
        Err(error) => {
            eprintln!("{name}: install a filter: {error}");
            return ExitCode::FAILURE;
        }
    }
    let mut program = std::path::PathBuf::from(programs);
    program.push(name);
    let _ = Command::new(program).args(arguments).exec();
    ExitCode::FAILURE
}

/// The filter, and the descriptor of who answers for it.
fn install() -> std::io::Result<OwnedFd> {
    #[cfg(target_arch = "x86_64")]
    const ARCHITECTURE: u32 = 0xc000_003e;
    #[cfg(target_arch = "aarch64")]
    const ARCHITECTURE: u32 = 0xc000_00b7;
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let instruction = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut program = vec![
        instruction(
            LOAD,
            0,
            0,
            std::mem::offset_of!(libc::seccomp_data, arch) as u32,
        ),
        instruction(EQUAL, 1, 0, ARCHITECTURE),
        instruction(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
        instruction(
            LOAD,
            0,
            0,
            std::mem::offset_of!(libc::seccomp_data, nr) as u32,
        ),
    ];
    for call in CALLS {
        program.push(instruction(EQUAL, 0, 1, call.number as u32));
        program.push(instruction(RETURN, 0, 0, libc::SECCOMP_RET_USER_NOTIF));
    }
    program.push(instruction(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    let filter = libc::sock_fprog {
        len: program.len() as libc::c_ushort,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the program is as long as is said and outlives the call; what comes back is a new descriptor.
    unsafe {
        let listener = libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const filter,
        );
        if listener < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(listener as i32))
    }
}

/// Sends the listener and waits for the byte that says it is looked after.
fn hand_over(stream: &UnixStream, listener: &OwnedFd) -> std::io::Result<()> {
    let mut byte = 0_u8;
    let mut part = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let mut control = [0_u64; 4];
    // SAFETY: all zeroes is an empty message; what it points to outlives the calls, and the control data has room for one descriptor.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size_of::<i32>() as u32) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<i32>() as u32) as _;
        libc::CMSG_DATA(header)
            .cast::<i32>()
            .write_unaligned(listener.as_raw_fd());
        if libc::sendmsg(stream.as_raw_fd(), &raw const message, 0) != 1 {
            return Err(std::io::Error::last_os_error());
        }
        if libc::recv(stream.as_raw_fd(), (&raw mut byte).cast(), 1, 0) != 1 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}
