//! Ids and labels of the calling thread that rustix leaves out.

use std::io;

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// setfsuid(2), verified: the call itself can't report a failure.
pub fn set_fs_uid(uid: u32) -> io::Result<()> {
    // SAFETY: setfsuid takes a number and touches no memory.
    unsafe { libc::syscall(libc::SYS_setfsuid, uid) };
    // SAFETY: as above; an invalid id only asks for the present one.
    let now = unsafe { libc::syscall(libc::SYS_setfsuid, u32::MAX) } as u32;
    if now == uid {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::EPERM))
    }
}

/// setfsgid(2), verified.
pub fn set_fs_gid(gid: u32) -> io::Result<()> {
    // SAFETY: setfsgid takes a number and touches no memory.
    unsafe { libc::syscall(libc::SYS_setfsgid, gid) };
    // SAFETY: as above.
    let now = unsafe { libc::syscall(libc::SYS_setfsgid, u32::MAX) } as u32;
    if now == gid {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::EPERM))
    }
}

/// setresuid(2) of the thread, all three ids (and with them the file system id).
pub fn set_uid(uid: u32) -> io::Result<()> {
    // SAFETY: numbers only.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// setresuid(2) of the thread, the effective id alone (and with it the file system id).
pub fn set_effective_uid(uid: u32) -> io::Result<()> {
    // SAFETY: numbers only; -1 leaves an id as it is.
    check(unsafe { libc::syscall(libc::SYS_setresuid, u32::MAX, uid, u32::MAX) }).map(drop)
}

/// setresgid(2) of the thread, all three ids.
pub fn set_gid(gid: u32) -> io::Result<()> {
    // SAFETY: numbers only.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

/// setgroups(2) of the thread.
pub fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: pointer and length describe `groups`, which the kernel only reads.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3` of <linux/capability.h>.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// The three sets that capset(2) changes; bit i is capability i.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapabilitySets {
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
}

/// capget(2) of the calling thread.
pub fn capabilities() -> io::Result<CapabilitySets> {
    let header = CapHeader {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let mut data = [CapData::default(); 2];
    // SAFETY: version 3 reads and writes one header and two data structures.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) })?;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(CapabilitySets {
        effective: join(data[0].effective, data[1].effective),
        permitted: join(data[0].permitted, data[1].permitted),
        inheritable: join(data[0].inheritable, data[1].inheritable),
    })
}

/// capset(2) of the calling thread.
pub fn set_capabilities(sets: CapabilitySets) -> io::Result<()> {
    let header = CapHeader {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let part = |shift: u32| CapData {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let data = [part(0), part(32)];
    // SAFETY: version 3 reads one header and two data structures.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
}

fn prctl(option: libc::c_int, a: u64, b: u64) -> io::Result<libc::c_long> {
    // SAFETY: only called below with options whose arguments are numbers.
    check(unsafe { libc::syscall(libc::SYS_prctl, option, a, b, 0u64, 0u64) })
}

/// Whether capability `number` is in the bounding set; None when the kernel doesn't know it.
pub fn bounding_has(number: u32) -> Option<bool> {
    prctl(libc::PR_CAPBSET_READ, number.into(), 0)
        .ok()
        .map(|has| has == 1)
}

pub fn drop_from_bounding(number: u32) -> io::Result<()> {
    prctl(libc::PR_CAPBSET_DROP, number.into(), 0).map(drop)
}

pub fn clear_ambient() -> io::Result<()> {
    prctl(
        libc::PR_CAP_AMBIENT,
        libc::PR_CAP_AMBIENT_CLEAR_ALL as u64,
        0,
    )
    .map(drop)
}

pub fn raise_ambient(number: u32) -> io::Result<()> {
    prctl(
        libc::PR_CAP_AMBIENT,
        libc::PR_CAP_AMBIENT_RAISE as u64,
        number.into(),
    )
    .map(drop)
}

/// Keep the permitted set over a change of all ids away from root; ends with execve.
pub fn set_keep_capabilities(keep: bool) -> io::Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, keep.into(), 0).map(drop)
}

pub fn set_no_new_privileges() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(drop)
}

/// Whether others of the same ids may trace this process or reach its memory and descriptors.
pub fn set_dumpable(dumpable: bool) -> io::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, dumpable.into(), 0).map(drop)
}

/// SIGKILL when the parent dies. Changes of credentials and the execution of privileged files clear it.
pub fn die_with_parent() -> io::Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0).map(drop)
}
