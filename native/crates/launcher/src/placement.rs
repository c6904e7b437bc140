//! What brigd must not keep from whoever happened to start it: control groups, limits, OOM score.
//!
//! All of it is done by the process that becomes brigd, to itself. What the kernel refuses is told in the log and no
//! reason to have no daemon: it then shares its starter's fate in that one respect.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit};

/// The daemon's control group beneath the root of each hierarchy; in the keepers' slice where systemd has the hierarchies.
const CGROUP: &str = "brig/brigd";
const SLICE: &str = "brig.slice/brigd";

/// As containerd's unit has it for itself (-999), one step weaker, so that containerd outlives us.
const OOM_SCORE_ADJ: &str = "-998";

/// The daemon's group of v2, to be born in: moving there waits for a grace period of the whole machine, 4 to 16 ms.
/// Nothing where it can't be had, which [`settle`] then tells.
pub fn birthplace() -> Option<OwnedFd> {
    let hierarchy = hierarchies().into_iter().find(|hierarchy| hierarchy.v2)?;
    let dir = hierarchy.make().ok()?;
    rustix::fs::open(
        dir,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .ok()
}

/// Leaves what was inherited; each refusal becomes a line for the log. `born_in_v2`: in the [`birthplace`].
pub fn settle(born_in_v2: bool) -> Vec<String> {
    let mut told = Vec::new();
    for hierarchy in hierarchies() {
        if hierarchy.v2 && born_in_v2 {
            continue;
        }
        if let Err(error) = hierarchy.enter() {
            told.push(format!(
                "leave the starter's control group: {}: {error}",
                hierarchy.mount_point.display()
            ));
        }
    }
    reset_limits();
    if fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ).is_err()
        && let Err(error) = fs::write("/proc/self/oom_score_adj", "0")
    {
        told.push(format!(
            "reset the OOM score: /proc/self/oom_score_adj: {error}"
        ));
    }
    told
}

struct Hierarchy {
    mount_point: PathBuf,
    v2: bool,
}

impl Hierarchy {
    /// Makes the daemon's group, where it isn't there yet.
    fn make(&self) -> io::Result<PathBuf> {
        let mut dir = self.mount_point.clone();
        let systemd = Path::new("/run/systemd/system").exists();
        let path = if systemd { SLICE } else { CGROUP };
        for part in path.split('/') {
            let parent = dir.clone();
            dir.push(part);
            match fs::create_dir(&dir) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ if self.v2 => {}
                _ => fill_cpuset(&parent, &dir)?,
            }
            // Beneath a slice the weight is systemd's to give.
            if !systemd && parent == self.mount_point {
                keeper::weight::raise(&dir);
            }
        }
        Ok(dir)
    }

    fn enter(&self) -> io::Result<()> {
        let dir = self.make()?;
        // v1: a task that moves itself through `tasks` waits for no grace period, unlike one that `cgroup.procs` moves.
        fs::write(
            dir.join(if self.v2 { "cgroup.procs" } else { "tasks" }),
            "0",
        )
    }
}

/// A v1 cpuset takes no task before it has processors and memory nodes.
fn fill_cpuset(parent: &Path, dir: &Path) -> io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        match fs::read_to_string(dir.join(file)) {
            Ok(value) if value.trim().is_empty() => {
                fs::write(dir.join(file), fs::read_to_string(parent.join(file))?)?
            }
            _ => {}
        }
    }
    Ok(())
}

/// The mounted hierarchies, each once.
fn hierarchies() -> Vec<Hierarchy> {
    let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else {
        return Vec::new();
    };
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for line in mounts.lines() {
        // mountinfo of proc(5): id, parent, device, root, mount point, options, tags, "-", type, ...
        let fields: Vec<&str> = line.split(' ').collect();
        let Some(dash) = fields.iter().position(|field| *field == "-") else {
            continue;
        };
        let (Some(device), Some(mount_point), Some(kind)) =
            (fields.get(2), fields.get(4), fields.get(dash + 1))
        else {
            continue;
        };
        let v2 = match *kind {
            "cgroup" => false,
            "cgroup2" => true,
            _ => continue,
        };
        if !seen.contains(device) {
            seen.push(device);
            found.push(Hierarchy {
                mount_point: PathBuf::from(mount_point),
                v2,
            });
        }
    }
    found
}

/// Soft limits a daemon wants; the hard ones are raised where that is allowed.
fn reset_limits() {
    let wanted = [
        (Resource::Nofile, Some(524_288)),
        (Resource::Core, Some(0)),
        (Resource::Stack, Some(8 << 20)),
        (Resource::Nproc, None),
        (Resource::As, None),
        (Resource::Data, None),
        (Resource::Fsize, None),
        (Resource::Cpu, None),
    ];
    for (resource, soft) in wanted {
        let hard = rustix::process::getrlimit(resource).maximum;
        let raised = Rlimit {
            current: soft,
            maximum: None,
        };
        if rustix::process::setrlimit(resource, raised).is_err() {
            let current = match (soft, hard) {
                (Some(soft), Some(hard)) => Some(soft.min(hard)),
                (soft, hard) => soft.or(hard),
            };
            // Within the hard limit the kernel refuses nothing.
            let _ = rustix::process::setrlimit(
                resource,
                Rlimit {
                    current,
                    maximum: hard,
                },
            );
        }
    }
}
