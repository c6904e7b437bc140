//! Landlock (landlock(7)), structures as in <linux/landlock.h>.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: libc::c_int = 1;
const RULE_NET_PORT: libc::c_int = 2;

#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

#[repr(C, packed)]
struct PathBeneathAttr {
    allowed_access: u64,
    parent_fd: i32,
}

#[repr(C)]
struct NetPortAttr {
    allowed_access: u64,
    port: u64,
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// The kernel's ABI version; 0 where Landlock is missing or off.
pub fn abi() -> i32 {
    // SAFETY: with the version flag the kernel wants a null pointer and size 0.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0usize,
            CREATE_RULESET_VERSION,
        )
    };
    result.max(0) as i32
}

/// A ruleset that denies the handled accesses (`LANDLOCK_ACCESS_*`, `LANDLOCK_SCOPE_*`) unless a rule allows them.
pub fn create(handled_fs: u64, handled_net: u64, scoped: u64) -> io::Result<OwnedFd> {
    let attr = RulesetAttr {
        handled_access_fs: handled_fs,
        handled_access_net: handled_net,
        scoped,
    };
    // Older kernels take a longer structure only if what they don't know is zero, so the size needn't vary.
    // SAFETY: pointer and size describe `attr`, which the kernel only reads.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const attr,
            size_of::<RulesetAttr>(),
            0u32,
        )
    })?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Allows `allowed` on and beneath what `path` refers to.
pub fn allow_path(ruleset: BorrowedFd<'_>, path: BorrowedFd<'_>, allowed: u64) -> io::Result<()> {
    let attr = PathBeneathAttr {
        allowed_access: allowed,
        parent_fd: path.as_raw_fd(),
    };
    // SAFETY: the structure belongs to this rule type and is only read.
    check(unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            RULE_PATH_BENEATH,
            &raw const attr,
            0u32,
        )
    })
    .map(drop)
}

/// Allows `allowed` on a TCP port.
pub fn allow_port(ruleset: BorrowedFd<'_>, port: u16, allowed: u64) -> io::Result<()> {
    let attr = NetPortAttr {
        allowed_access: allowed,
        port: port.into(),
    };
    // SAFETY: the structure belongs to this rule type and is only read.
    check(unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            RULE_NET_PORT,
            &raw const attr,
            0u32,
        )
    })
    .map(drop)
}

/// Puts the calling thread under the ruleset, for good. Needs no_new_privs or CAP_SYS_ADMIN in the user namespace.
pub fn restrict_self(ruleset: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: numbers only.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0u32) })
        .map(drop)
}
