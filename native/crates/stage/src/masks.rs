//! Paths that the container may not write or not see at all. What covers them is made by us, in the workshop.

use std::os::fd::OwnedFd;

use rustix::fs::FileType;
use rustix::mount::MoveMountFlags;
use sys::mounts::MountChange;

use crate::devices::existing;
use crate::errors::{At, Result, Step};
use crate::sources::{clone_at, raw};
use crate::workshop::Workshop;

/// Binds the path, with what is mounted below, over itself and makes that read-only. A path that isn't there needs nothing.
pub fn make_read_only(root: &OwnedFd, path: &str) -> Result<()> {
    let make = || -> rustix::io::Result<()> {
        let Some(target) = existing(root, path)? else {
            return Ok(());
        };
        let bind = clone_at(&target, true)?;
        let private = MountChange {
            propagation: libc::MS_PRIVATE,
            ..MountChange::default()
        };
        sys::mounts::change(&bind, private, true).map_err(|error| raw(&error))?;
        let read_only = MountChange {
            set: libc::MOUNT_ATTR_RDONLY,
            ..MountChange::default()
        };
        sys::mounts::change(&bind, read_only, true).map_err(|error| raw(&error))?;
        attach(&bind, &target)
    };
    make().at(Step::ReadOnlyPath, path)
}

/// Covers a file by a null device of our own, a directory by an empty one. A path that isn't there needs nothing.
pub fn mask(root: &OwnedFd, path: &str, workshop: &mut Workshop) -> Result<()> {
    let mut make = || -> rustix::io::Result<()> {
        let Some(target) = existing(root, path)? else {
            return Ok(());
        };
        let cover = match FileType::from_raw_mode(rustix::fs::fstat(&target)?.st_mode) {
            FileType::Directory => workshop.empty_mask()?,
            _ => workshop.null_mask()?,
        };
        attach(&cover, &target)
    };
    make().at(Step::MaskPath, path)
}

fn attach(mount: &OwnedFd, target: &OwnedFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", target, "", flags)
}
