//! System calls that a default container has no use for. The arguments are invalid on purpose: EFAULT, EINVAL or EBADF mean
//! that the call got through to its code, EPERM and ENOSYS that a wall stopped it.

use crate::report;
use std::process::ExitCode;

/// Not yet in every C library's headers; same on all architectures (asm-generic/unistd.h).
const OPEN_TREE_ATTR: libc::c_long = 467;

pub fn run() -> ExitCode {
    let nothing = std::ptr::null::<libc::c_void>();
    let path = c"/".as_ptr();
    let attempts: &[(&str, libc::c_long, [libc::c_long; 5])] = &[
        ("add_key", libc::SYS_add_key, [0, 0, 0, 0, 0]),
        ("request_key", libc::SYS_request_key, [0, 0, 0, 0, 0]),
        // KEYCTL_GET_KEYRING_ID of the session keyring.
        ("keyctl", libc::SYS_keyctl, [0, -3, 0, 0, 0]),
        ("bpf", libc::SYS_bpf, [0, 0, 0, 0, 0]),
        ("userfaultfd", libc::SYS_userfaultfd, [-1, 0, 0, 0, 0]),
        ("io_uring_setup", libc::SYS_io_uring_setup, [0, 0, 0, 0, 0]),
        (
            "perf_event_open",
            libc::SYS_perf_event_open,
            [0, 0, 0, 0, 0],
        ),
        ("clone3", libc::SYS_clone3, [0, 0, 0, 0, 0]),
        ("setns", libc::SYS_setns, [-1, 0, 0, 0, 0]),
        (
            "mount",
            libc::SYS_mount,
            [0, path as libc::c_long, 0, libc::MS_BIND as libc::c_long, 0],
        ),
        (
            "umount2",
            libc::SYS_umount2,
            [c"/no/such".as_ptr() as libc::c_long, 0, 0, 0, 0],
        ),
        (
            "open_tree",
            libc::SYS_open_tree,
            [
                libc::AT_FDCWD as libc::c_long,
                path as libc::c_long,
                1,
                0,
                0,
            ],
        ),
        (
            "open_tree_attr",
            OPEN_TREE_ATTR,
            [
                libc::AT_FDCWD as libc::c_long,
                path as libc::c_long,
                1,
                0,
                0,
            ],
        ),
        (
            "fsopen",
            libc::SYS_fsopen,
            [c"tmpfs".as_ptr() as libc::c_long, 0, 0, 0, 0],
        ),
        (
            "fspick",
            libc::SYS_fspick,
            [
                libc::AT_FDCWD as libc::c_long,
                path as libc::c_long,
                0,
                0,
                0,
            ],
        ),
        ("fsmount", libc::SYS_fsmount, [-1, 0, 0, 0, 0]),
        ("move_mount", libc::SYS_move_mount, [-1, 0, -1, 0, 0]),
        (
            "mount_setattr",
            libc::SYS_mount_setattr,
            [-1, path as libc::c_long, 0, 0, 0],
        ),
        (
            "pivot_root",
            libc::SYS_pivot_root,
            [path as libc::c_long, path as libc::c_long, 0, 0, 0],
        ),
        (
            "open_by_handle_at",
            libc::SYS_open_by_handle_at,
            [-1, 0, 0, 0, 0],
        ),
        ("init_module", libc::SYS_init_module, [0, 0, 0, 0, 0]),
        ("finit_module", libc::SYS_finit_module, [-1, 0, 0, 0, 0]),
        ("delete_module", libc::SYS_delete_module, [0, 0, 0, 0, 0]),
        ("kexec_load", libc::SYS_kexec_load, [0, 1, 0, 0, 0]),
        (
            "acct",
            libc::SYS_acct,
            [c"/no/such".as_ptr() as libc::c_long, 0, 0, 0, 0],
        ),
        (
            "swapon",
            libc::SYS_swapon,
            [c"/no/such".as_ptr() as libc::c_long, 0, 0, 0, 0],
        ),
        ("quotactl", libc::SYS_quotactl, [0, 0, 0, 0, 0]),
        ("fanotify_init", libc::SYS_fanotify_init, [-1, 0, 0, 0, 0]),
        (
            "clock_settime",
            libc::SYS_clock_settime,
            [0, nothing as libc::c_long, 0, 0, 0],
        ),
        // Last: where it works, what follows would have other rights.
        (
            "unshare(NEWUSER)",
            libc::SYS_unshare,
            [libc::CLONE_NEWUSER as libc::c_long, 0, 0, 0, 0],
        ),
        (
            "unshare(NEWNS)",
            libc::SYS_unshare,
            [libc::CLONE_NEWNS as libc::c_long, 0, 0, 0, 0],
        ),
    ];
    for (name, number, arguments) in attempts {
        // SAFETY: every pointer argument is null, or a C string that lives for the whole program.
        let result = unsafe {
            libc::syscall(
                *number,
                arguments[0],
                arguments[1],
                arguments[2],
                arguments[3],
                arguments[4],
            )
        };
        report::call(name, result);
    }
    ExitCode::SUCCESS
}

/// KEYCTL_READ of a key by its serial number, as the host knows it.
pub fn read_key(arguments: &[String]) -> ExitCode {
    const KEYCTL_READ: libc::c_long = 11;
    let Some(serial) = arguments
        .first()
        .and_then(|text| text.parse::<libc::c_long>().ok())
    else {
        return ExitCode::from(2);
    };
    let mut buffer = [0_u8; 128];
    // SAFETY: the buffer is as long as is said.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_READ,
            serial,
            buffer.as_mut_ptr(),
            buffer.len(),
            0,
        )
    };
    report::call("keyctl(READ)", result);
    ExitCode::SUCCESS
}

/// Numbers in decimal, or in hexadecimal after 0x.
fn numbers<const N: usize>(arguments: &[String]) -> Option<[libc::c_long; N]> {
    let mut all = [0; N];
    for (text, number) in arguments.iter().zip(&mut all) {
        *number = match text.strip_prefix("0x") {
            Some(digits) => {
                libc::c_long::from_ne_bytes(u64::from_str_radix(digits, 16).ok()?.to_ne_bytes())
            }
            None => text.parse().ok()?,
        };
    }
    Some(all)
}

/// The system call whose number comes first, with the numbers that follow: for filters that look at arguments. Whoever asks picks
/// calls that do no harm with them.
pub fn one(arguments: &[String]) -> ExitCode {
    let Some([number, a, b, c, d, e, f]) = numbers::<7>(arguments) else {
        return ExitCode::from(2);
    };
    // SAFETY: up to the caller, who names the call; nothing of this program is used afterwards but standard output.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    report::call("call", result);
    ExitCode::SUCCESS
}

/// The same through the gate that 32-bit programs use: the kernel tells filters that it is AUDIT_ARCH_I386.
#[cfg(target_arch = "x86_64")]
pub fn one_of_i386(arguments: &[String]) -> ExitCode {
    let Some([number, argument]) = numbers::<2>(arguments) else {
        return ExitCode::from(2);
    };
    let mut result = number as i32;
    // SAFETY: rbx is what the compiler keeps for itself, so it is put back; the kernel changes no other register but rax.
    unsafe {
        std::arch::asm!(
            "push rbx",
            "mov ebx, {argument:e}",
            "int 0x80",
            "pop rbx",
            argument = in(reg) argument,
            inout("eax") result,
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
        );
    }
    if result < 0 {
        report::line("call", &crate::errno::name(-result), "");
    } else {
        report::line("call", "ok", &result.to_string());
    }
    ExitCode::SUCCESS
}

#[cfg(not(target_arch = "x86_64"))]
pub fn one_of_i386(_arguments: &[String]) -> ExitCode {
    report::line("call", "ENOSYS", "");
    ExitCode::SUCCESS
}
