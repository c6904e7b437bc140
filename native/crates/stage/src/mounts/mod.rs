//! The plan's mounts, in its order: made detached, changed, then attached at a destination that was resolved once, beneath
//! the root, to a descriptor.

mod cgroup_view;
mod copy;
mod special;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use rustix::mount::MoveMountFlags;
use sys::mounts::MountChange;
use wire::keeper::source::Kind as SourceKind;
use wire::plan::id_mapping::Mode as IdMode;
use wire::plan::{CreatePlan, Mount, mount};

use crate::cgroup::CgroupSet;
use crate::errors::{At, Result, StageError, Step};
use crate::idmap::{self, IdMaps};
use crate::namespaces::Home;
use crate::paths::{self, Target};
use crate::procfs::{self, Procfs};
use crate::rootfs::{self, Layers};
use crate::sources::{Handles, Opened, clone_mount, same_file};
use crate::template::MountOrder;
use crate::workshop::Workshop;

use cgroup_view::Hierarchy;

/// MOUNT_ATTR__ATIME: the access time setting is one value, changed as a whole.
const ATIME: u64 = libc::MOUNT_ATTR__ATIME;

/// What building mounts needs to know.
pub struct Building<'a> {
    pub root: &'a OwnedFd,
    pub procfs: &'a Procfs,
    pub handles: &'a Handles,
    pub home: &'a Home,
    /// The container's process, whose namespaces are visited, and its id.
    pub pidfd: BorrowedFd<'a>,
    pub pid: i32,
    pub maps: &'a IdMaps,
    pub user_namespace: Option<BorrowedFd<'a>>,
    pub order: MountOrder,
}

/// A mount whose outside source, if it has one, has been cloned.
pub struct Prepared<'a> {
    plan: &'a Mount,
    source: Source<'a>,
    idmap: Idmap,
}

enum Source<'a> {
    Bind {
        clone: OwnedFd,
        from: &'a Opened,
        recursive: bool,
    },
    Fresh(&'a wire::plan::Fresh),
    Overlay(Layers),
    CgroupView {
        hierarchies: Vec<Hierarchy>,
        read_only: bool,
    },
    Copy {
        from: &'a Opened,
        max_bytes: u64,
    },
}

/// Clones what the plan's mounts take from outside. To be called in the mount namespace that the sources were opened in.
pub fn prepare<'a>(
    procfs: &Procfs,
    plan: &'a CreatePlan,
    handles: &'a Handles,
    cgroups: &CgroupSet,
) -> Result<Vec<Prepared<'a>>> {
    plan.mounts
        .iter()
        .map(|mount| {
            let source = match &mount.source {
                Some(mount::Source::Bind(bind)) => {
                    let from = handles.of_kind(bind.handle, SourceKind::Bind, Step::CloneSource)?;
                    Source::Bind {
                        clone: clone_mount(from, bind.recursive)?,
                        from,
                        recursive: bind.recursive,
                    }
                }
                Some(mount::Source::Fresh(fresh)) => Source::Fresh(fresh),
                Some(mount::Source::Overlay(overlay)) => {
                    Source::Overlay(Layers::take(overlay, handles)?)
                }
                Some(mount::Source::CgroupView(view)) => Source::CgroupView {
                    hierarchies: cgroup_view::take(cgroups)?,
                    read_only: view.read_only,
                },
                Some(mount::Source::Copy(copy)) => {
                    let from = handles.of_kind(copy.handle, SourceKind::Bind, Step::CloneSource)?;
                    Source::Copy {
                        from,
                        max_bytes: copy.max_bytes.into(),
                    }
                }
                None => {
                    return Err(StageError::new(
                        Step::ReadPlan,
                        name(mount),
                        "a mount without a source",
                    ));
                }
            };
            Ok(Prepared {
                plan: mount,
                source,
                idmap: Idmap::of_plan(mount, procfs)?,
            })
        })
        .collect()
}

/// Mounts that are to be read-only, but only once everything stands in them.
#[derive(Default)]
pub struct ToSeal(Vec<Unsealed>);

struct Unsealed {
    mount: OwnedFd,
    destination: String,
    name: String,
}

impl ToSeal {
    /// The same mounts in a copy of the tree.
    pub fn find_again(&mut self, root: &OwnedFd) -> Result<()> {
        for unsealed in &mut self.0 {
            let failed = |errno| StageError::os(Step::Mount, &unsealed.name, errno);
            let found = paths::open(root, &unsealed.destination, OFlags::PATH).map_err(failed)?;
            if !same_file(&found, &unsealed.mount).map_err(failed)? {
                return Err(StageError::new(
                    Step::Mount,
                    &unsealed.name,
                    "another mount covers it",
                ));
            }
            unsealed.mount = found;
        }
        Ok(())
    }

    pub fn seal(self) -> Result<()> {
        for unsealed in self.0 {
            let change = MountChange {
                set: libc::MOUNT_ATTR_RDONLY,
                ..MountChange::default()
            };
            sys::mounts::change(&unsealed.mount, change, false)
                .at(Step::Mount, format!("{}: read-only", unsealed.name))?;
        }
        Ok(())
    }
}

/// Makes and attaches them all.
pub fn mount_all(
    building: &Building<'_>,
    prepared: Vec<Prepared<'_>>,
    workshop: &mut Workshop,
) -> Result<ToSeal> {
    let mut to_seal = ToSeal::default();
    for mount in prepared {
        building.mount(mount, workshop, &mut to_seal)?;
    }
    Ok(to_seal)
}

impl Building<'_> {
    fn mount(
        &self,
        prepared: Prepared<'_>,
        workshop: &mut Workshop,
        to_seal: &mut ToSeal,
    ) -> Result<()> {
        let plan = prepared.plan;
        let (mounted, target, recursive, seal) = match prepared.source {
            Source::Bind {
                clone,
                from,
                recursive,
            } => (clone, target_of(from.file_type), recursive, false),
            Source::Fresh(fresh) => (
                special::mount(self, plan, fresh, workshop)?,
                Target::Directory,
                false,
                true,
            ),
            Source::Overlay(layers) => {
                let userns = self.namespace_of(&prepared.idmap, plan)?;
                (
                    rootfs::overlay(&layers, userns, self.order, workshop)?,
                    Target::Directory,
                    false,
                    true,
                )
            }
            Source::CgroupView {
                hierarchies,
                read_only,
            } => {
                let (view, tmpfs) =
                    cgroup_view::mount(hierarchies, read_only, workshop, &name(plan))?;
                (view, Target::Directory, true, tmpfs)
            }
            Source::Copy { from, max_bytes } => (
                copy::mount(self.procfs, from, max_bytes, self.maps, workshop)?,
                target_of(from.file_type),
                false,
                false,
            ),
        };
        let at = self.destination(plan, target)?;
        if plan.tmpcopyup {
            copy::up(&at, &mounted, &name(plan))?;
        }
        if !matches!(plan.source, Some(mount::Source::Overlay(_))) {
            let userns = self.namespace_of(&prepared.idmap, plan)?;
            let recursive = plan.idmap.as_ref().is_some_and(|idmap| idmap.recursive);
            rootfs::shift_ids(&mounted, userns, recursive, &name(plan))?;
        }
        let seal = seal && plan.attr_set & libc::MOUNT_ATTR_RDONLY != 0;
        change(plan, &mounted, recursive, seal)?;
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(&mounted, "", &at, "", flags).at(Step::Mount, name(plan))?;
        if seal {
            to_seal.0.push(Unsealed {
                mount: mounted,
                destination: plan.destination.clone(),
                name: name(plan),
            });
        }
        Ok(())
    }

    /// The place to mount at, made if missing.
    fn destination(&self, plan: &Mount, target: Target) -> Result<OwnedFd> {
        let path = plan.destination.as_str();
        if path.split('/').all(|part| part.is_empty() || part == ".") {
            return Err(
                StageError::new(Step::Mount, name(plan), "a mount over the root itself")
                    .remedy("give the root file system as the spec's root"),
            );
        }
        if plan.destination_nofollow || special::needs_plain_path(plan) {
            let resolved = paths::open_plain(self.root, path, OFlags::PATH).map(drop);
            if let Err(Errno::LOOP | Errno::NOTDIR) = resolved {
                return Err(StageError::new(
                    Step::Mount,
                    name(plan),
                    "the image has a link or file in its place",
                )
                .remedy("make it an ordinary directory in the image"));
            }
        }
        let at = paths::open_or_make(self.root, path, target).at(Step::Mount, name(plan))?;
        // What may stand within /proc is the plan's affair; a link of the image that leads there is not.
        let beneath_proc = path
            .split('/')
            .find(|part| !part.is_empty() && *part != ".");
        if beneath_proc != Some("proc")
            && procfs::magic(&at).at(Step::Mount, name(plan))? == procfs::PROC_MAGIC
        {
            return Err(
                StageError::new(Step::Mount, name(plan), "leads into procfs by a link")
                    .remedy("make it an ordinary path in the image"),
            );
        }
        Ok(at)
    }

    fn namespace_of<'n>(
        &'n self,
        idmap: &'n Idmap,
        plan: &Mount,
    ) -> Result<Option<BorrowedFd<'n>>> {
        match idmap {
            Idmap::None => Ok(None),
            Idmap::Own(namespace) => Ok(Some(namespace.as_fd())),
            Idmap::Container => match self.user_namespace {
                Some(namespace) => Ok(Some(namespace)),
                None => Err(StageError::new(
                    Step::MapIds,
                    name(plan),
                    "an idmap without a user namespace",
                )),
            },
        }
    }
}

/// By which maps a mount's ids are shifted.
enum Idmap {
    None,
    Container,
    /// Its own, as a user namespace nobody lives in. Made early: once a root covers the template's, the kernel lets the
    /// stage make none.
    Own(OwnedFd),
}

impl Idmap {
    fn of_plan(plan: &Mount, procfs: &Procfs) -> Result<Idmap> {
        let Some(mapping) = &plan.idmap else {
            return Ok(Idmap::None);
        };
        match IdMode::try_from(mapping.mode) {
            Ok(IdMode::None) => Ok(Idmap::None),
            Ok(IdMode::Container) => Ok(Idmap::Container),
            Ok(IdMode::Own) => {
                let maps = IdMaps::of_plan(&mapping.uid_maps, &mapping.gid_maps)?;
                Ok(Idmap::Own(idmap::empty_namespace(
                    procfs,
                    &maps,
                    &name(plan),
                )?))
            }
            Err(_) => Err(StageError::new(
                Step::ReadPlan,
                name(plan),
                format!("unknown idmap mode {}", mapping.mode),
            )),
        }
    }
}

/// Attributes and propagation. With `seal`, read-only waits.
fn change(plan: &Mount, mounted: &OwnedFd, recursive: bool, seal: bool) -> Result<()> {
    let whole = |set: u64, clear: u64| {
        (
            set,
            if (set | clear) & ATIME != 0 {
                clear | ATIME
            } else {
                clear
            },
        )
    };
    let apply = |change: MountChange<'_>, recursive: bool| {
        if change == MountChange::default() {
            return Ok(());
        }
        sys::mounts::change(mounted, change, recursive)
            .at(Step::Mount, format!("{}: attributes", name(plan)))
    };
    let (kind, deep) = match u64::from(plan.propagation) {
        0 => (libc::MS_PRIVATE, recursive),
        flags => (flags & !libc::MS_REC, flags & libc::MS_REC != 0),
    };
    apply(
        MountChange {
            propagation: kind,
            ..MountChange::default()
        },
        deep,
    )?;
    let (set, clear) = whole(plan.attr_set_recursive, plan.attr_clear_recursive);
    apply(
        MountChange {
            set,
            clear,
            ..MountChange::default()
        },
        true,
    )?;
    let (set, clear) = whole(plan.attr_set, plan.attr_clear);
    let set = if seal {
        set & !libc::MOUNT_ATTR_RDONLY
    } else {
        set
    };
    apply(
        MountChange {
            set,
            clear,
            ..MountChange::default()
        },
        false,
    )
}

fn target_of(file_type: FileType) -> Target {
    if file_type == FileType::Directory {
        Target::Directory
    } else {
        Target::File
    }
}

/// How messages name a mount.
fn name(plan: &Mount) -> String {
    if plan.spec_index < 0 {
        plan.destination.clone()
    } else {
        format!("{} (mounts[{}])", plan.destination, plan.spec_index)
    }
}
