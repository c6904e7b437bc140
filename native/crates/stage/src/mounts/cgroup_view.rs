//! The container's view of its cgroups: cgroup2 alone, or a tmpfs with one bind per hierarchy as the host has it.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::mount::MoveMountFlags;
use sys::mounts::MountChange;

use crate::cgroup::CgroupSet;
use crate::errors::{At, Result, StageError, Step};
use crate::sources::clone_at;
use crate::template::new_tmpfs;
use crate::workshop::Workshop;

/// A clone of the container's directory in one hierarchy.
pub struct Hierarchy {
    name: String,
    controllers: String,
    v2: bool,
    clone: OwnedFd,
}

pub fn take(cgroups: &CgroupSet) -> Result<Vec<Hierarchy>> {
    cgroups
        .visible()
        .map(|visible| {
            Ok(Hierarchy {
                name: visible.name.to_owned(),
                controllers: visible.controllers.to_owned(),
                v2: visible.v2,
                clone: clone_at(visible.directory, false).at(Step::CloneSource, visible.name)?,
            })
        })
        .collect()
}

/// The view, and whether it is a tmpfs (which becomes read-only only after its content stands).
pub fn mount(
    hierarchies: Vec<Hierarchy>,
    read_only: bool,
    workshop: &mut Workshop,
    object: &str,
) -> Result<(OwnedFd, bool)> {
    let mut set = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    if read_only {
        set |= libc::MOUNT_ATTR_RDONLY;
    }
    let change = MountChange {
        set,
        propagation: libc::MS_PRIVATE,
        ..MountChange::default()
    };
    for hierarchy in &hierarchies {
        sys::mounts::change(&hierarchy.clone, change, false)
            .at(Step::Mount, format!("{object}: {}", hierarchy.name))?;
    }
    if hierarchies.is_empty() {
        return Err(StageError::new(
            Step::Mount,
            object,
            "the plan has no cgroup to show",
        ));
    }
    if let [Hierarchy { v2: true, .. }] = hierarchies.as_slice() {
        let only = hierarchies
            .into_iter()
            .next()
            .map(|hierarchy| hierarchy.clone);
        return only
            .map(|clone| (clone, false))
            .ok_or_else(|| StageError::new(Step::Mount, object, "no cgroup"));
    }
    let mut build = || -> rustix::io::Result<OwnedFd> {
        let tmpfs = new_tmpfs(&[("mode", "0755"), ("size", "64k")])?;
        // Attached, since older kernels mount nothing on a tree that is attached nowhere.
        let point = workshop.attach(&tmpfs)?;
        let tmpfs = rustix::fs::open(
            &point,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        for hierarchy in &hierarchies {
            rustix::fs::mkdirat(&tmpfs, &hierarchy.name, Mode::from_raw_mode(0o755))?;
            let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
            rustix::mount::move_mount(&hierarchy.clone, "", &tmpfs, &hierarchy.name, flags)?;
            // "cpu" beside "cpu,cpuacct": programs look for the single names.
            for controller in hierarchy
                .controllers
                .split(',')
                .filter(|one| !one.is_empty() && !one.contains(['=', '/']))
            {
                if controller != hierarchy.name
                    && !hierarchies.iter().any(|other| other.name == controller)
                {
                    match rustix::fs::symlinkat(&hierarchy.name, &tmpfs, controller) {
                        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                        Err(errno) => return Err(errno),
                    }
                }
            }
        }
        Ok(tmpfs)
    };
    Ok((build().at(Step::Mount, object)?, true))
}
