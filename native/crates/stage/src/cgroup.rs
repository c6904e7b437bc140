//! The cgroups of a container: made, limited, entered by the process itself. No path of a hierarchy is followed through a
//! link, and the file system behind a mount point is checked before anything is made in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sys::bpf;
use wire::plan::{CgroupDir, CgroupWrite, Cgroups};

use crate::errors::{At, Result, StageError, Step};
use crate::procfs;
use crate::undo::Undo;

/// CGROUP_SUPER_MAGIC and CGROUP2_SUPER_MAGIC of <linux/magic.h>.
const CGROUP_MAGIC: u64 = 0x0027_e0eb;
const CGROUP2_MAGIC: u64 = 0x6367_7270;

/// The container's directories, opened.
pub struct CgroupSet {
    dirs: Vec<Dir>,
}

struct Dir {
    /// Name of the mount point's last part, under which the hierarchy shows inside.
    name: String,
    controllers: String,
    path: String,
    v2: bool,
    hidden: bool,
    directory: OwnedFd,
    /// `tasks` (v1) or `cgroup.procs` (v2), open for writing.
    entry: OwnedFd,
}

/// One hierarchy as the container shall see it.
pub struct Visible<'a> {
    pub name: &'a str,
    pub controllers: &'a str,
    pub v2: bool,
    pub directory: BorrowedFd<'a>,
}

impl CgroupSet {
    /// Makes the directories, writes the limits and attaches the device program; says in `skipped` which files were missing.
    pub fn make(plan: &Cgroups, undo: &mut Undo, skipped: &mut Vec<String>) -> Result<CgroupSet> {
        let dirs = plan
            .dirs
            .iter()
            .map(|dir| open_dir(dir, undo))
            .collect::<Result<Vec<_>>>()?;
        for write in &plan.writes {
            write_limit(&dirs, write, skipped)?;
        }
        if !plan.device_program.is_empty() {
            attach_device_program(&dirs, &plan.device_program)?;
        }
        Ok(CgroupSet { dirs })
    }

    /// Moves the calling process into all of them. Called by the process itself: moving another one costs milliseconds on v1.
    pub fn enter(&self) -> Result<()> {
        for dir in &self.dirs {
            rustix::io::write(&dir.entry, b"0").map_err(|errno| {
                let error = StageError::os(Step::EnterCgroup, &dir.path, errno);
                match errno {
                    Errno::NOSPC => error
                        .remedy("cpuset.cpus or cpuset.mems of the cgroup or a parent is empty"),
                    Errno::OPNOTSUPP | Errno::BUSY => {
                        error.remedy("the cgroup has children with controllers; use one below it")
                    }
                    _ => error,
                }
            })?;
        }
        Ok(())
    }

    pub fn visible(&self) -> impl Iterator<Item = Visible<'_>> {
        let shown = self.dirs.iter().filter(|dir| !dir.hidden);
        shown.map(|dir| Visible {
            name: &dir.name,
            controllers: &dir.controllers,
            v2: dir.v2,
            directory: dir.directory.as_fd(),
        })
    }
}

fn open_dir(plan: &CgroupDir, undo: &mut Undo) -> Result<Dir> {
    let full = format!("{}/{}", plan.mount_point, plan.path);
    let names: Vec<&str> = plan
        .path
        .split('/')
        .filter(|name| !name.is_empty())
        .collect();
    if plan.path.starts_with('/') || names.iter().any(|name| *name == ".." || *name == ".") {
        return Err(StageError::new(
            Step::MakeCgroup,
            full,
            "the path must be relative and without dots",
        ));
    }
    let mut directory = procfs::open_host(&plan.mount_point, OFlags::PATH | OFlags::DIRECTORY)
        .at(Step::MakeCgroup, &plan.mount_point)?;
    let expected = if plan.v2 { CGROUP2_MAGIC } else { CGROUP_MAGIC };
    if procfs::magic(&directory).at(Step::MakeCgroup, &plan.mount_point)? != expected {
        let kind = if plan.v2 { "cgroup2" } else { "cgroup v1" };
        return Err(StageError::new(
            Step::MakeCgroup,
            &plan.mount_point,
            format!("not a {kind} file system"),
        ));
    }
    // v2 has its own rule: an empty cpuset stands for the parent's.
    let cpuset = !plan.v2
        && plan
            .controllers
            .split(',')
            .any(|controller| controller == "cpuset");
    for (index, name) in names.iter().enumerate() {
        if plan.v2 {
            enable_controllers(&directory, plan, &names[..index])?;
        }
        let leaf = index + 1 == names.len();
        if plan.create {
            match make_child(&directory, name, leaf && !plan.reuse) {
                Ok(()) => {
                    let parent = directory.try_clone().at(Step::MakeCgroup, &full)?;
                    undo.remove_cgroup(parent, name);
                }
                Err(Errno::EXIST) if !leaf || plan.reuse => {}
                Err(Errno::EXIST) => {
                    return Err(StageError::os(Step::MakeCgroup, full, Errno::EXIST).remedy(
                        "another container uses this cgroup; give this one another cgroupsPath",
                    ));
                }
                Err(errno) => return Err(StageError::os(Step::MakeCgroup, full, errno)),
            }
        }
        let next = open_child(&directory, name).at(Step::MakeCgroup, &full)?;
        if cpuset && plan.create {
            inherit_cpuset(&directory, &next, &full)?;
        }
        directory = next;
    }
    let entry_name = if plan.v2 { "cgroup.procs" } else { "tasks" };
    let entry = rustix::fs::openat(
        &directory,
        entry_name,
        OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .at(Step::MakeCgroup, format!("{full}/{entry_name}"))?;
    let name = plan
        .mount_point
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or("cgroup")
        .to_owned();
    Ok(Dir {
        name,
        controllers: plan.controllers.clone(),
        path: full,
        v2: plan.v2,
        hidden: plan.hidden,
        directory,
        entry,
    })
}

/// Makes a directory; a leaf that a container left behind, with nobody in it, gives way to a fresh one.
fn make_child(parent: &OwnedFd, name: &str, in_place_of_empty: bool) -> rustix::io::Result<()> {
    let make = || rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755));
    match make() {
        Err(Errno::EXIST) if in_place_of_empty => {
            // The kernel keeps one that has processes or children.
            match rustix::fs::unlinkat(parent, name, rustix::fs::AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => make(),
                Err(_) => Err(Errno::EXIST),
            }
        }
        made => made,
    }
}

fn open_child(directory: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(
        directory,
        name,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// v2: gives the children of `directory` the controllers they need.
fn enable_controllers(directory: &OwnedFd, plan: &CgroupDir, above: &[&str]) -> Result<()> {
    if plan.enable.is_empty() {
        return Ok(());
    }
    let object = || {
        format!(
            "{}/{}/cgroup.subtree_control",
            plan.mount_point,
            above.join("/")
        )
    };
    let enabled = read_small(directory, "cgroup.subtree_control").at(Step::MakeCgroup, object())?;
    for controller in &plan.enable {
        if enabled
            .split_ascii_whitespace()
            .any(|present| present == controller)
        {
            continue;
        }
        write_file(
            directory,
            "cgroup.subtree_control",
            format!("+{controller}").as_bytes(),
        )
        .map_err(|errno| {
            let error = StageError::os(
                Step::MakeCgroup,
                format!("{}: +{controller}", object()),
                errno,
            );
            match errno {
                Errno::NOENT | Errno::INVAL => error.remedy(format!(
                    "the controller {controller} is not available there"
                )),
                Errno::BUSY => {
                    error.remedy("processes live in that cgroup itself; move them to one below it")
                }
                _ => error,
            }
        })?;
    }
    Ok(())
}

/// v1: a new cpuset is empty and can't be entered before it has what its parent has.
fn inherit_cpuset(parent: &OwnedFd, child: &OwnedFd, full: &str) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = read_small(child, file).at(Step::MakeCgroup, format!("{full}: {file}"))?;
        if own.trim().is_empty() {
            let inherited =
                read_small(parent, file).at(Step::MakeCgroup, format!("{full}: {file}"))?;
            write_file(child, file, inherited.trim().as_bytes())
                .at(Step::MakeCgroup, format!("{full}: {file}"))?;
        }
    }
    Ok(())
}

fn write_limit(dirs: &[Dir], write: &CgroupWrite, skipped: &mut Vec<String>) -> Result<()> {
    let Some(dir) = dirs.get(write.dir as usize) else {
        return Err(StageError::new(
            Step::LimitCgroup,
            &write.file,
            format!("no cgroup directory {}", write.dir),
        ));
    };
    let object = || {
        format!(
            "{}/{} = {} ({})",
            dir.path,
            write.file,
            write.value.trim_end(),
            write.asked_by
        )
    };
    if write.file.contains('/') || write.file.is_empty() || write.file == ".." {
        return Err(StageError::new(
            Step::LimitCgroup,
            object(),
            "not the name of a file",
        ));
    }
    match write_file(&dir.directory, &write.file, write.value.as_bytes()) {
        Ok(()) => Ok(()),
        Err(Errno::NOENT) if write.ignore_missing => {
            skipped.push(format!("{} ({})", write.file, write.asked_by));
            Ok(())
        }
        Err(Errno::NOENT) => Err(StageError::os(Step::LimitCgroup, object(), Errno::NOENT)
            .remedy("the kernel or the parent cgroup does not offer this controller or limit")),
        Err(errno) => Err(StageError::os(Step::LimitCgroup, object(), errno)),
    }
}

fn attach_device_program(dirs: &[Dir], program: &[u8]) -> Result<()> {
    let Some(dir) = dirs.iter().find(|dir| dir.v2) else {
        return Err(StageError::new(
            Step::LimitCgroup,
            "device program",
            "the plan has no cgroup v2 directory",
        ));
    };
    let object = format!("{}: device program", dir.path);
    let loaded = bpf::load_device_program(program).at(Step::LimitCgroup, &object)?;
    // bpf(2) wants a real descriptor, not an O_PATH one.
    let directory = rustix::fs::openat(
        &dir.directory,
        ".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .at(Step::LimitCgroup, &object)?;
    bpf::attach_device_program(directory.as_fd(), loaded.as_fd()).at(Step::LimitCgroup, &object)
}

fn write_file(directory: &OwnedFd, name: &str, value: &[u8]) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    rustix::io::write(&file, value).map(drop)
}

fn read_small(directory: &OwnedFd, name: &str) -> rustix::io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    let mut buffer = [0u8; 4096];
    let length = rustix::io::read(&file, &mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}
