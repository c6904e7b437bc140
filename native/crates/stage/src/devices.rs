//! Device nodes and links inside the root: made where they belong, or, where the file system there gives device nodes no
//! life, bound from the workshop.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MoveMountFlags;
use rustix::process::{Gid, Uid};
use sys::mounts::MountChange;
use wire::plan::device::Type;
use wire::plan::{Device, Symlink};

use crate::errors::{At, Result, StageError, Step};
use crate::idmap::IdMaps;
use crate::paths::{self, Target};
use crate::sources::{clone_at, raw};
use crate::workshop::Workshop;

pub fn make(root: &OwnedFd, device: &Device, maps: &IdMaps, workshop: &mut Workshop) -> Result<()> {
    let file_type = match Type::try_from(device.r#type) {
        Ok(Type::Char) => FileType::CharacterDevice,
        Ok(Type::Block) => FileType::BlockDevice,
        Ok(Type::Fifo) => FileType::Fifo,
        Ok(Type::Unspecified) | Err(_) => {
            return Err(StageError::new(
                Step::ReadPlan,
                &device.path,
                format!("unknown device type {}", device.r#type),
            ));
        }
    };
    let unmapped = |id: u32| {
        StageError::new(
            Step::MakeDevice,
            &device.path,
            format!("its owner {id} has no id in the container"),
        )
    };
    let uid = maps
        .host_uid(device.uid)
        .ok_or_else(|| unmapped(device.uid))?;
    let gid = maps
        .host_gid(device.gid)
        .ok_or_else(|| unmapped(device.gid))?;
    let node = Node {
        file_type,
        number: if file_type == FileType::Fifo {
            0
        } else {
            rustix::fs::makedev(device.major, device.minor)
        },
        mode: Mode::from_raw_mode(device.mode & 0o7777),
        owner: (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))),
    };
    node.place(root, &device.path, workshop)
        .at(Step::MakeDevice, &device.path)
}

struct Node {
    file_type: FileType,
    number: u64,
    mode: Mode,
    owner: (Option<Uid>, Option<Gid>),
}

impl Node {
    fn place(&self, root: &OwnedFd, path: &str, workshop: &mut Workshop) -> rustix::io::Result<()> {
        let (parent, name) = paths::parent_of(root, path)?;
        let dead_there = self.file_type != FileType::Fifo && paths::is_nodev(&parent)?;
        if !dead_there {
            match rustix::fs::mknodat(&parent, &name, self.file_type, self.mode, self.number) {
                Ok(()) => {
                    let (uid, gid) = self.owner;
                    rustix::fs::chownat(&parent, &name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
                    // The umask is 0, so the mode is as asked; a change of owner may have cleared set-id bits of it only.
                    return Ok(());
                }
                Err(Errno::EXIST | Errno::ROFS) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.bind_over(root, path, workshop)
    }

    /// Whatever stands at the path is covered by a node of our own.
    fn bind_over(
        &self,
        root: &OwnedFd,
        path: &str,
        workshop: &mut Workshop,
    ) -> rustix::io::Result<()> {
        let target = paths::open_or_make(root, path, Target::File)?;
        let (_, node) = workshop.node(self.file_type, self.number, self.mode)?;
        let (uid, gid) = self.owner;
        rustix::fs::chownat(&node, "", uid, gid, AtFlags::EMPTY_PATH)?;
        let bind = clone_at(&node, false)?;
        let set = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;
        let change = MountChange {
            set,
            propagation: libc::MS_PRIVATE,
            ..MountChange::default()
        };
        sys::mounts::change(&bind, change, false).map_err(|error| raw(&error))?;
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(&bind, "", &target, "", flags)
    }
}

/// A symbolic link; one that is there already with the same text is as good.
pub fn link(root: &OwnedFd, link: &Symlink) -> Result<()> {
    let make = || {
        let (parent, name) = paths::parent_of(root, &link.path)?;
        match rustix::fs::symlinkat(link.target.as_str(), &parent, &name) {
            Err(Errno::EXIST) => {
                let there = rustix::fs::readlinkat(&parent, &name, Vec::new());
                if there.is_ok_and(|text| text.to_bytes() == link.target.as_bytes()) {
                    Ok(())
                } else {
                    Err(Errno::EXIST)
                }
            }
            result => result,
        }
    };
    make().at(Step::MakeLink, format!("{} -> {}", link.path, link.target))
}

/// A descriptor of a directory or file in the root, for callers that mount on it.
pub fn existing(root: &OwnedFd, path: &str) -> rustix::io::Result<Option<OwnedFd>> {
    match paths::open(root, path, OFlags::PATH) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}
