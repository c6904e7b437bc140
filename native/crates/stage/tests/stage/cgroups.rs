//! The cgroup hierarchies of the machine, whatever kind they are.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wire::plan::{CgroupDir, Cgroups};

/// A killed process leaves its cgroup within this time.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Hierarchy {
    pub mount_point: String,
    pub controllers: String,
    pub v2: bool,
}

/// All mounted ones whose controllers a container uses.
pub fn hierarchies() -> Vec<Hierarchy> {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let (front, back) = line.split_once(" - ").unwrap();
        let mount_point = front.split(' ').nth(4).unwrap().to_owned();
        let mut back = back.split(' ');
        let fs_type = back.next().unwrap();
        let options = back.nth(1).unwrap_or_default();
        let known = [
            "memory", "pids", "cpuset", "devices", "freezer", "cpu", "blkio",
        ];
        match fs_type {
            "cgroup2" => found.push(Hierarchy {
                controllers: std::fs::read_to_string(format!("{mount_point}/cgroup.controllers"))
                    .unwrap()
                    .split_ascii_whitespace()
                    .collect::<Vec<_>>()
                    .join(","),
                mount_point,
                v2: true,
            }),
            "cgroup" => {
                let controllers: Vec<&str> = options
                    .split(',')
                    .filter(|option| known.contains(option))
                    .collect();
                if !controllers.is_empty() {
                    found.push(Hierarchy {
                        mount_point,
                        controllers: controllers.join(","),
                        v2: false,
                    });
                }
            }
            _ => {}
        }
    }
    found
}

/// A directory per hierarchy, named after the test's process.
pub fn plan() -> Cgroups {
    let path = path();
    let dirs = hierarchies()
        .into_iter()
        .map(|hierarchy| CgroupDir {
            mount_point: hierarchy.mount_point,
            path: path.clone(),
            v2: hierarchy.v2,
            create: true,
            controllers: hierarchy.controllers,
            ..CgroupDir::default()
        })
        .collect();
    Cgroups {
        dirs,
        ..Cgroups::default()
    }
}

/// Named after the test's process; its own forks use the same.
pub fn path() -> String {
    static TEST: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    let test = *TEST.get_or_init(std::process::id);
    format!("{}/container", group(test))
}

fn group(test: u32) -> String {
    format!("brig-test-{test}")
}

/// The directories on the host.
pub fn directories() -> Vec<PathBuf> {
    hierarchies()
        .into_iter()
        .map(|hierarchy| PathBuf::from(hierarchy.mount_point).join(path()))
        .collect()
}

/// Removes what the plan made, once nobody lives in it.
pub struct Cleanup;

impl Drop for Cleanup {
    fn drop(&mut self) {
        remove();
    }
}

/// Removes them now, for a test that starts several containers one after another.
pub fn remove() {
    for directory in directories() {
        let _ = std::fs::remove_dir(&directory);
        let _ = std::fs::remove_dir(directory.parent().unwrap());
    }
}

/// Removes what the test of this process has left, as one that failed does, and ends who still lives in it.
pub fn sweep(test: i32) {
    let test = u32::try_from(test).unwrap();
    for hierarchy in hierarchies() {
        empty(&PathBuf::from(hierarchy.mount_point).join(group(test)));
    }
}

fn empty(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().unwrap().is_dir() {
            empty(&entry.path());
        }
    }
    let end = Instant::now() + PATIENCE;
    while directory.exists() && std::fs::remove_dir(directory).is_err() {
        if Instant::now() > end {
            eprintln!("{directory:?} can't be removed");
            return;
        }
        let members = std::fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        for pid in members.lines().filter_map(|pid| pid.parse().ok()) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        std::thread::yield_now();
    }
}
