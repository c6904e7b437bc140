//! How the kernel runs this process: policy, I/O priority, memory policy, execution domain, CPUs, umask. One line each, so that a
//! container whose init this is tells what its specification came to.

use crate::report;
use std::process::ExitCode;

/// struct sched_attr (sched_setattr(2)), without what came after its first version.
#[repr(C)]
#[derive(Default)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Nodes that get_mempolicy(2) has room for here.
const NODES: libc::c_ulong = 1024;

pub fn describe() -> ExitCode {
    scheduler();
    // SAFETY: numbers only; IOPRIO_WHO_PROCESS, the caller.
    let io_priority = unsafe { libc::syscall(libc::SYS_ioprio_get, 1, 0) };
    report::call("io class", io_priority >> 13);
    report::call("io priority", io_priority & 0x1fff);
    memory_policy();
    // SAFETY: all bits set only asks.
    let personality = unsafe { libc::personality(0xffff_ffff) };
    report::line("personality", "ok", &format!("{personality:#x}"));
    // SAFETY: numbers only; the umask is put back.
    let umask = unsafe {
        let umask = libc::umask(0);
        libc::umask(umask);
        umask
    };
    report::line("umask", "ok", &format!("{umask:o}"));
    ExitCode::SUCCESS
}

fn scheduler() {
    let mut attr = SchedAttr::default();
    // SAFETY: the kernel writes at most as many bytes as it is told.
    let result = unsafe {
        libc::syscall(
            libc::SYS_sched_getattr,
            0,
            &raw mut attr,
            size_of::<SchedAttr>(),
            0,
        )
    };
    report::call("sched_getattr", result);
    for (name, value) in [
        ("policy", u64::from(attr.policy)),
        ("flags", attr.flags),
        ("priority", u64::from(attr.priority)),
        ("runtime", attr.runtime),
        ("deadline", attr.deadline),
        ("period", attr.period),
    ] {
        report::line(name, "ok", &value.to_string());
    }
    report::line("nice", "ok", &attr.nice.to_string());
}

fn memory_policy() {
    let (mut mode, mut nodes) = (0_i32, [0_u64; NODES as usize / 64]);
    // SAFETY: mode and as many bits as are said.
    let result = unsafe {
        libc::syscall(
            libc::SYS_get_mempolicy,
            &raw mut mode,
            nodes.as_mut_ptr(),
            NODES,
            0,
            0,
        )
    };
    report::call("get_mempolicy", result);
    report::line("memory mode", "ok", &format!("{mode:#x}"));
    report::line("memory nodes", "ok", &format!("{:#x}", nodes[0]));
}
