//! What the keeper does to its own process at the start, and what it finds out about the host: both before anything of a
//! container is near.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::process::{DumpableBehavior, getpid, set_child_subreaper, set_dumpable_behavior};
use wire::keeper::{CgroupMount, HostFacts};

use crate::birth::{self, Birth};
use crate::keeper::Keeper;

/// Sets the process up: the signals' descriptor, and the host's facts as they were before.
pub fn prepare(listener: &OwnedFd, birth: &Birth) -> io::Result<(OwnedFd, HostFacts)> {
    sys::children::close_inherited(&[listener.as_fd()]);
    sys::heap::keep_small();
    sys::children::ignore_sigpipe();
    rustix::fs::fcntl_setfl(listener, rustix::fs::OFlags::NONBLOCK)?;
    let signals = sys::children::signal_descriptor(&[libc::SIGCHLD, libc::SIGTERM])?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    set_child_subreaper(Some(getpid()))?;
    // The bundle that it was started in is containerd's to remove.
    let _ = std::env::set_current_dir("/");
    Ok((signals, facts(&birth.membership)))
}

/// The directories that a cgroup has in the hierarchies of this host.
pub fn cgroup_dirs(path: &Path) -> Vec<PathBuf> {
    let beneath = path.strip_prefix("/").unwrap_or(path);
    let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = facts(&membership)
        .cgroups
        .iter()
        .map(|mount| Path::new(&mount.mount_point).join(beneath))
        .collect();
    dirs.retain(|dir| dir.is_dir());
    dirs
}

/// 32 hexadecimal digits that no other keeper has.
#[expect(clippy::disallowed_methods, reason = "a number like any other")]
pub fn random_name() -> String {
    let mut bytes = [0u8; 16];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    if got != Ok(bytes.len()) {
        // Before the kernel's generator is ready nothing else runs that could have the same name.
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        bytes = (now.as_nanos() << 32 | u128::from(std::process::id())).to_be_bytes();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn facts(membership: &str) -> HostFacts {
    let uname = rustix::system::uname();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bounding = status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .unwrap_or_default();
    let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap_or_default();
    let apparmor =
        fs::read_to_string("/sys/module/apparmor/parameters/enabled").unwrap_or_default();
    HostFacts {
        kernel_release: uname.release().to_string_lossy().into_owned(),
        machine: uname.machine().to_string_lossy().into_owned(),
        landlock_abi: sys::landlock::abi(),
        cgroups: cgroups(
            &fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(),
            membership,
        ),
        apparmor: apparmor.trim() == "Y",
        selinux: Path::new("/sys/fs/selinux/enforce").exists(),
        page_size: u64::try_from(rustix::param::page_size()).unwrap_or(0),
        last_capability: last.trim().parse().unwrap_or(0),
        bounding: u64::from_str_radix(bounding.trim(), 16).unwrap_or(0),
    }
}

/// One per hierarchy, from /proc/self/mountinfo and /proc/self/cgroup (proc_pid_mountinfo(5), cgroups(7)).
fn cgroups(mountinfo: &str, membership: &str) -> Vec<CgroupMount> {
    let mut mounts: Vec<CgroupMount> = Vec::new();
    for line in mountinfo.lines() {
        let Some((front, back)) = line.split_once(" - ") else {
            continue;
        };
        let mut front = front.split(' ').skip(3);
        let (Some(root), Some(mount_point)) = (front.next(), front.next()) else {
            continue;
        };
        let mut back = back.split(' ');
        let (kind, options) = (
            back.next().unwrap_or_default(),
            back.nth(1).unwrap_or_default(),
        );
        let mount_point = unescape(mount_point);
        let v2 = match kind {
            "cgroup2" => true,
            "cgroup" => false,
            _ => continue,
        };
        let found = membership.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            let own = match v2 {
                true => controllers.is_empty(),
                false => {
                    !controllers.is_empty()
                        && controllers
                            .split(',')
                            .all(|one| options.split(',').any(|option| option == one))
                }
            };
            own.then_some((controllers, path))
        });
        let Some((controllers, path)) = found else {
            continue;
        };
        let controllers = match v2 {
            true => {
                fs::read_to_string(format!("{mount_point}/cgroup.controllers")).unwrap_or_default()
            }
            false => controllers.replace(',', " "),
        };
        let controllers: Vec<String> = controllers.split_whitespace().map(str::to_owned).collect();
        let known =
            |mount: &CgroupMount| mount.v2 == v2 && (v2 || mount.controllers == controllers);
        if !mounts.iter().any(known) {
            mounts.push(CgroupMount {
                mount_point,
                v2,
                controllers,
                own_path: beneath(path, &unescape(root)),
            });
        }
    }
    mounts
}

/// The path as seen from a mount whose root is this directory of the hierarchy.
fn beneath(path: &str, root: &str) -> String {
    match path.strip_prefix(root.trim_end_matches('/')) {
        Some("") => "/".to_owned(),
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => path.to_owned(),
    }
}

/// Blanks and the like are octal escapes in mountinfo.
fn unescape(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match (
            first,
            digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()),
        ) {
            (b'\\', Some(byte)) => {
                plain.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            _ => {
                plain.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Moves this process into a cgroup that is there.
fn join(mount: &CgroupMount, dir: &Path) -> io::Result<()> {
    // In v1 a thread that moves itself by `tasks` takes no global lock (the keeper has one thread).
    let file = if mount.v2 { "cgroup.procs" } else { "tasks" };
    let mut file = fs::OpenOptions::new().write(true).open(dir.join(file))?;
    file.write_all(b"0")
}

/// Moves this process into the keepers' cgroup of a hierarchy, which it makes if needed.
fn enter(mount: &CgroupMount) -> io::Result<()> {
    let root = Path::new(&mount.mount_point);
    // All but the first keeper after a boot find it made.
    if join(mount, &birth::place_beneath(root)).is_ok() {
        return Ok(());
    }
    let dir = birth::make(Path::new(&mount.mount_point), |parent, dir| {
        // A cpuset without processors takes no process.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if !mount.v2
                && fs::read_to_string(dir.join(file)).is_ok_and(|set| set.trim().is_empty())
            {
                fs::write(dir.join(file), fs::read(parent.join(file))?)?;
            }
        }
        // Beneath a slice the weight is systemd's to give.
        if parent == root && dir == birth::place_beneath(root) {
            crate::weight::raise(dir);
        }
        Ok(())
    })?;
    join(mount, &dir)
}

impl Keeper {
    /// Leaves the cgroups of the program that started the keeper, for those that containerd's options name or the keepers'
    /// own: when there is time, and before the first fork in any case.
    pub fn take_place(&mut self) {
        if self.placed {
            return;
        }
        self.placed = true;
        if !self.tuning.leave_cgroups {
            return;
        }
        for mount in &self.config.facts.cgroups {
            let wanted = &self.config.wanted_cgroups;
            let moved = match wanted
                .iter()
                .find(|dir| dir.starts_with(&mount.mount_point))
            {
                Some(dir) => join(mount, dir),
                None if mount.v2 && self.config.born_in_own_v2 => Ok(()),
                None => enter(mount),
            };
            if let Err(error) = moved {
                self.log.warning(format_args!(
                    "leave containerd's cgroup in {}: {error}",
                    mount.mount_point
                ));
            }
        }
        self.timeline
            .note("keeper", format_args!("has taken its place"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hierarchy_is_found_once_with_the_place_of_its_starter() {
        let mountinfo = "30 23 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
            32 30 0:28 /docker/1 /sys/fs/cgroup/mem\\040ory rw - cgroup cgroup rw,memory\n\
            33 30 0:28 / /mnt/again rw - cgroup cgroup rw,memory\n\
            34 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            35 30 0:30 / /nowhere/unified rw - cgroup2 cgroup2 rw\n";
        let membership = "4:memory:/docker/1/c\n3:cpu,cpuacct:/a:b\n2:name=systemd:/\n0::/x\n";
        let found = cgroups(mountinfo, membership);
        let short: Vec<_> = found
            .iter()
            .map(|mount| {
                (
                    mount.mount_point.as_str(),
                    mount.v2,
                    mount.controllers.join(","),
                    mount.own_path.as_str(),
                )
            })
            .collect();
        assert_eq!(
            short,
            [
                (
                    "/sys/fs/cgroup/cpu,cpuacct",
                    false,
                    "cpu,cpuacct".into(),
                    "/a:b"
                ),
                ("/sys/fs/cgroup/mem ory", false, "memory".into(), "/c"),
                ("/sys/fs/cgroup/systemd", false, "name=systemd".into(), "/"),
                ("/nowhere/unified", true, String::new(), "/x"),
            ]
        );
    }

    #[test]
    fn names_differ() {
        assert_eq!(random_name().len(), 32);
        assert_ne!(random_name(), random_name());
    }
}
