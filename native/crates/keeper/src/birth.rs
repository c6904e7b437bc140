//! Where a keeper is born. Moving a process from one cgroup v2 to another waits for a grace period of the whole machine
//! (several milliseconds), during which the pod's first Create waits too; being born in a cgroup costs nothing. So the launcher
//! forks the keeper into its place in v2, and the keeper moves itself where that was not possible, and in v1.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use sys::clone::{ForkFlags, Forked};

/// The keepers' cgroup in each hierarchy; beneath a slice of its own where systemd has the hierarchies.
const OWN_CGROUP: [&str; 1] = ["brig-keepers"];
const OWN_SLICE: [&str; 2] = ["brig.slice", "keepers"];

/// Where cgroup v2 is: alone, or beside the hierarchies of v1.
const V2: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// CGROUP2_SUPER_MAGIC of <linux/magic.h>.
const CGROUP2_MAGIC: rustix::fs::FsWord = 0x6367_7270;

/// What a keeper can't find out about its start any more.
#[derive(Debug, Default)]
pub struct Birth {
    /// /proc/self/cgroup of the program that started it.
    pub membership: String,
    /// It stands in its own cgroup of v2 already.
    pub in_own_v2: bool,
}

/// Forks; in the child `Some`. To be called while the process has a single thread.
///
/// # Errors
/// The kernel's, as clone(2) names them.
pub fn fork() -> io::Result<Option<Birth>> {
    let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    if let Some(place) = place() {
        // SAFETY: the caller vouches for a single thread.
        if let Ok(forked) = unsafe { sys::clone::fork(ForkFlags::empty(), Some(place.as_fd())) } {
            return Ok(child(forked, membership, true));
        }
    }
    // SAFETY: as above.
    let forked = unsafe { sys::clone::fork(ForkFlags::empty(), None) }?;
    Ok(child(forked, membership, false))
}

fn child(forked: Forked, membership: String, in_own_v2: bool) -> Option<Birth> {
    match forked {
        Forked::Parent { .. } => None,
        Forked::Child => Some(Birth {
            membership,
            in_own_v2,
        }),
    }
}

/// The keepers' cgroup of v2, made if needed; nothing where it can't be had, which the keeper then tells.
fn place() -> Option<OwnedFd> {
    let root = V2
        .into_iter()
        .find(|path| rustix::fs::statfs(*path).is_ok_and(|found| found.f_type == CGROUP2_MAGIC))?;
    let dir = make(Path::new(root), |_, _| Ok(())).ok()?;
    rustix::fs::open(
        dir,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .ok()
}

/// Where the keepers' cgroup is beneath a hierarchy's root.
pub fn place_beneath(root: &Path) -> PathBuf {
    root.join(parts().iter().collect::<PathBuf>())
}

fn parts() -> &'static [&'static str] {
    let systemd = Path::new("/run/systemd/system").exists();
    if systemd { &OWN_SLICE } else { &OWN_CGROUP }
}

/// Makes the keepers' cgroup beneath a hierarchy's root; `made` prepares each directory on the way, given its parent.
///
/// # Errors
/// The kernel's.
pub fn make(root: &Path, made: impl Fn(&Path, &Path) -> io::Result<()>) -> io::Result<PathBuf> {
    let mut dir = root.to_owned();
    for part in parts() {
        let parent = dir.clone();
        dir.push(part);
        match fs::create_dir(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => made(&parent, &dir)?,
        }
    }
    Ok(dir)
}
