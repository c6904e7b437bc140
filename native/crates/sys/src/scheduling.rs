//! Scheduling, I/O priority, memory policy, execution domain and resource limits of a process.

use std::io;

fn check(result: libc::c_long) -> io::Result<()> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Fields of struct sched_attr (sched_setattr(2)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SchedulerAttributes {
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

/// sched_setattr(2) of process `pid`.
pub fn set_scheduler(pid: i32, attributes: SchedulerAttributes) -> io::Result<()> {
    /// SCHED_ATTR_SIZE_VER0: without utilisation clamps, which every supported kernel takes.
    #[repr(C)]
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
    let attr = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: attributes.policy,
        flags: attributes.flags,
        nice: attributes.nice,
        priority: attributes.priority,
        runtime: attributes.runtime,
        deadline: attributes.deadline,
        period: attributes.period,
    };
    // SAFETY: the structure carries its own size and is only read.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, pid, &raw const attr, 0u32) })
}

/// ioprio_set(2) of process `pid`.
pub fn set_io_priority(pid: i32, class: u32, priority: u32) -> io::Result<()> {
    /// `IOPRIO_WHO_PROCESS`, and the place of the class in the value (<linux/ioprio.h>).
    const WHO_PROCESS: libc::c_int = 1;
    const CLASS_SHIFT: u32 = 13;
    // SAFETY: numbers only.
    check(unsafe {
        libc::syscall(
            libc::SYS_ioprio_set,
            WHO_PROCESS,
            pid,
            class << CLASS_SHIFT | priority,
        )
    })
}

/// sched_setaffinity(2) of the calling thread; bit i of byte i/8 is CPU i.
pub fn set_affinity(mask: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length describe `mask`, which the kernel only reads.
    check(unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, mask.len(), mask.as_ptr()) })
}

/// set_mempolicy(2) of the calling thread; bit i of byte i/8 is node i.
pub fn set_memory_policy(mode: u32, nodes: &[u8]) -> io::Result<()> {
    // The kernel reads whole words and takes the number of bits plus one.
    let words: Vec<u64> = nodes
        .chunks(8)
        .map(|chunk| {
            chunk
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte))
        })
        .collect();
    let (pointer, bits) = if words.is_empty() {
        (std::ptr::null(), 0)
    } else {
        (words.as_ptr(), words.len() * 64 + 1)
    };
    // SAFETY: the kernel reads at most `bits` bits, rounded to words, from `words`.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, pointer, bits) })
}

/// personality(2) of the calling thread.
pub fn set_personality(persona: u32) -> io::Result<()> {
    // SAFETY: numbers only.
    check(unsafe { libc::syscall(libc::SYS_personality, libc::c_ulong::from(persona)) })
}

/// prlimit(2) of process `pid` (0: the caller).
pub fn set_limit(pid: i32, resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: the new limit is only read; no old one is asked for.
    check(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            pid,
            resource,
            &raw const limit,
            std::ptr::null_mut::<libc::rlimit64>(),
        )
    })
}
