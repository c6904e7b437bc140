//! The container's root: an overlay over idmapped layers, a clone of a directory, or a file system mounted anew. Its source is
//! cloned while the stage still sees the host's mounts; the root itself is mounted in the private namespace.

mod attached;
mod detached;
mod layers;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::mount::MoveMountFlags;
use sys::mounts::{MountChange, RawUserNamespace};
use wire::keeper::source::Kind;
use wire::plan::{Fresh, Root, root};

pub use layers::Layers;

use crate::errors::{At, Result, StageError, Step};
use crate::fresh;
use crate::loop_device;
use crate::paths;
use crate::procfs::Procfs;
use crate::sources::{Handles, clone_mount, raw};
use crate::template::MountOrder;
use crate::workshop::Workshop;

/// The root's source, out of reach of later changes to the host's mounts.
pub enum RootSource<'a> {
    Overlay(Layers),
    Bind {
        clone: OwnedFd,
        path: &'a str,
        recursive: bool,
    },
    Fresh {
        plan: &'a Fresh,
        /// A loop device, where the source is an image.
        device: Option<OwnedFd>,
    },
}

impl<'a> RootSource<'a> {
    /// To be called in the mount namespace that the sources were opened in.
    pub fn take(plan: &'a Root, handles: &'a Handles, procfs: &Procfs) -> Result<RootSource<'a>> {
        match &plan.source {
            Some(root::Source::Overlay(overlay)) => {
                Ok(RootSource::Overlay(Layers::take(overlay, handles)?))
            }
            Some(root::Source::Bind(bind)) => {
                let source = handles.of_kind(bind.handle, Kind::Bind, Step::CloneSource)?;
                let clone = clone_mount(source, bind.recursive)?;
                Ok(RootSource::Bind {
                    clone,
                    path: &source.path,
                    recursive: bind.recursive,
                })
            }
            Some(root::Source::Fresh(plan)) => {
                let device = match &plan.r#loop {
                    Some(asked) => {
                        let image = handles.of_kind(plan.handle, Kind::Device, Step::MountRoot)?;
                        Some(loop_device::attach(asked, image, procfs)?)
                    }
                    None => None,
                };
                Ok(RootSource::Fresh { plan, device })
            }
            None => Err(StageError::new(Step::ReadPlan, "root", "the plan has none")),
        }
    }
}

/// Mounts the root over the template's and answers its descriptor, through which all that follows is resolved. Device nodes
/// that an image brings are dead on it.
pub fn mount(
    plan: &Root,
    source: RootSource<'_>,
    idmap: Option<BorrowedFd<'_>>,
    order: MountOrder,
    handles: &Handles,
    workshop: &mut Workshop,
) -> Result<OwnedFd> {
    if plan.idmap && idmap.is_none() {
        return Err(StageError::new(
            Step::MountRoot,
            "root",
            "an idmapped root needs a user namespace",
        ));
    }
    let idmap = idmap.filter(|_| plan.idmap);
    let root = match source {
        RootSource::Overlay(layers) => overlay(&layers, idmap, order, workshop)?,
        RootSource::Bind {
            clone,
            path,
            recursive,
        } => {
            shift_ids(&clone, idmap, recursive, path)?;
            clone
        }
        RootSource::Fresh { plan, device } => {
            let mounted = match device {
                Some(device) => fresh::mount_image(plan, &device, workshop)?,
                None => fresh::mount(plan, handles, workshop, Step::MountRoot, "/")?,
            };
            shift_ids(&mounted, idmap, false, "root")?;
            mounted
        }
    };
    let change = MountChange {
        propagation: before_lock(plan.propagation),
        ..MountChange::default()
    };
    sys::mounts::change(&root, change, true).at(Step::MountRoot, "root: propagation")?;
    let change = MountChange {
        set: libc::MOUNT_ATTR_NODEV,
        ..MountChange::default()
    };
    sys::mounts::change(&root, change, true).at(Step::MountRoot, "root: no device nodes")?;
    rustix::mount::move_mount(
        &root,
        "",
        rustix::fs::CWD,
        "/",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .at(Step::MountRoot, "/")?;
    Ok(root)
}

/// What the root's propagation is until the lock. A shared root is made so by the container's own process, after it; until then
/// nothing leaks out. A slave keeps its master.
pub fn before_lock(asked: u32) -> u64 {
    match u64::from(asked) & !libc::MS_REC {
        0 | libc::MS_SHARED => libc::MS_PRIVATE,
        kind => kind,
    }
}

/// An overlay in either order, attached nowhere that the container could see.
pub fn overlay(
    layers: &Layers,
    idmap: Option<BorrowedFd<'_>>,
    order: MountOrder,
    workshop: &mut Workshop,
) -> Result<OwnedFd> {
    if let Some(userns) = idmap {
        layers.idmap(userns)?;
    }
    let mounted = match order {
        MountOrder::Detached => detached::mount(layers)?,
        MountOrder::Attached => attached::mount(layers, workshop)?,
    };
    if layers.has_upper() && paths::is_readonly(mounted.as_fd()).at(Step::MountRoot, "overlay")? {
        return Err(StageError::new(Step::MountRoot, "overlay", "the kernel made it read-only").remedy(
            "the kernel's log names the reason; often the upper layer's file system lacks what overlay needs",
        ));
    }
    Ok(mounted)
}

/// Idmaps a detached mount, if a user namespace is given.
pub fn shift_ids(
    mount: &OwnedFd,
    userns: Option<BorrowedFd<'_>>,
    recursive: bool,
    object: &str,
) -> Result<()> {
    let Some(userns) = userns else { return Ok(()) };
    let change = MountChange {
        idmap: Some(RawUserNamespace(userns)),
        ..MountChange::default()
    };
    sys::mounts::change(mount, change, recursive).map_err(|error| {
        let errno = raw(&error);
        let error = StageError::os(Step::MapIds, object, errno);
        if errno != Errno::INVAL {
            return error;
        }
        error.remedy(
            "its file system, or a mount below it, can't be idmapped; use one that can (ext4, xfs, btrfs, tmpfs from Linux 6.3)",
        )
    })
}
