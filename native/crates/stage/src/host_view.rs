//! The mount namespace of a create with hooks: the host's mounts, private, with the container's root at the caller's own path
//! of it. The container's process lives in it from its birth, so a hook that enters the process's mount namespace mounts into
//! the very tree that the container gets. Afterwards the host's part is taken away, and the process's unshare locks the rest.
//!
//! The hooks themselves run in copies of it or of the runtime's (`hook_runner`), and what they mount is brought here.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, OFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, MoveMountFlags, UnmountFlags};
use sys::mounts::MountChange;
use sys::namespaces::{enter, unshare};
use wire::keeper::source::Kind;
use wire::plan::CreatePlan;
use wire::plan::hook::Point;

use crate::Stage;
use crate::errors::{At, Result, StageError, Step};
use crate::hook_runner::{self, Place};
use crate::hooks;
use crate::idmap::{self, IdMaps};
use crate::launch::Launched;
use crate::link::Report;
use crate::mountinfo;
use crate::mounts::ToSeal;
use crate::namespaces::Home;
use crate::procfs::{self, Procfs};
use crate::sources::{clone_at, clone_mount, same_file};
use crate::way::Way;
use crate::workshop::Workshop;

/// Points whose hooks need to see the root where the caller has it.
const POINTS: [Point; 3] = [
    Point::Prestart,
    Point::CreateRuntime,
    Point::CreateContainer,
];

/// Owner on disk of what a host hook makes in an idmapped root: the last id there is, which no image uses.
const HOST_ROOT_ON_DISK: u32 = u32::MAX - 1;

/// A private copy of the host's mounts, which the stage is in when this is made.
pub struct HostView<'a> {
    namespace: OwnedFd,
    /// The caller's own path of the root, as the kernel names it.
    place: String,
    /// What stood there when it was opened.
    place_source: &'a OwnedFd,
    /// What container hooks are shown besides, at the caller's own paths: clones.
    shown: Vec<(String, OwnedFd)>,
    /// What the root's propagation is to be in the end.
    propagation: u64,
}

impl<'a> HostView<'a> {
    /// None when no hook of the plan needs it.
    pub fn make(plan: &CreatePlan, stage: &'a Stage) -> Result<Option<HostView<'a>>> {
        if hooks::at(&plan.hooks, &POINTS).next().is_none() {
            return Ok(None);
        }
        let handle = plan.root.as_ref().map_or(0, |root| root.visible_handle);
        let source = stage.handles.of_kind(handle, Kind::Bind, Step::RunHook)?;
        let place = stage
            .procfs
            .path_of(&source.descriptor)
            .at(Step::RunHook, &source.path)?;
        let place = String::from_utf8(place)
            .map_err(|_| StageError::new(Step::RunHook, &source.path, "its path is not UTF-8"))?;
        refuse_unbindable(plan)?;
        let shown = shown(plan, stage)?;
        refuse_chroot()?;
        unshare(libc::CLONE_NEWNS).at(Step::EnterMountNamespace, "copy of the host's mounts")?;
        rustix::mount::mount_change(
            "/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )
        .at(Step::EnterMountNamespace, "copy of the host's mounts")?;
        let namespace = stage
            .procfs
            .namespace("self", "mnt")
            .at(Step::EnterMountNamespace, "mnt")?;
        Ok(Some(HostView {
            namespace,
            place,
            place_source: &source.descriptor,
            shown,
            propagation: propagation(plan),
        }))
    }

    /// The ids by which an idmapped root is shifted where hooks of the runtime's own make files in it: the container's, and an id
    /// of its own on disk for the host's root, which the container shows as nobody. None where the container's alone will do.
    pub fn root_ids(
        &self,
        plan: &CreatePlan,
        maps: &IdMaps,
        procfs: &Procfs,
    ) -> Result<Option<OwnedFd>> {
        if !plan.root.as_ref().is_some_and(|root| root.idmap)
            || !hook_runner::has_runtime_hooks(plan)
        {
            return Ok(None);
        }
        maps.with_host_root(HOST_ROOT_ON_DISK)
            .map(|maps| idmap::empty_namespace(procfs, &maps, "root"))
            .transpose()
    }

    /// Moves the stage, with a copy of the finished tree, over to the host's view of it. Answers the root there.
    pub fn move_in(
        &self,
        root: &OwnedFd,
        workshop: Workshop,
        to_seal: &mut ToSeal,
    ) -> Result<(OwnedFd, Workshop)> {
        let tree = clone_at(root, true).at(Step::RunHook, "copy of the root")?;
        workshop.close()?;
        enter(self.namespace.as_fd(), libc::CLONE_NEWNS)
            .at(Step::RunHook, "copy of the host's mounts")?;
        let place = procfs::open_host(&self.place, OFlags::PATH | OFlags::DIRECTORY)
            .at(Step::RunHook, &self.place)?;
        if !same_file(&place, self.place_source).at(Step::RunHook, &self.place)? {
            return Err(StageError::new(
                Step::RunHook,
                &self.place,
                "another directory than the one that was opened",
            ));
        }
        // Below the root, where neither hooks nor the container come across it.
        let workshop = Workshop::open_at(place.as_fd())?;
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(&tree, "", &place, "", flags).at(Step::RunHook, &self.place)?;
        to_seal.find_again(&tree)?;
        Ok((tree, workshop))
    }

    /// Runs all hooks of the creation; answers the root with what they have mounted.
    pub fn run_hooks(
        &self,
        plan: &CreatePlan,
        stage: &Stage,
        home: &Home,
        launched: &Launched,
        maps: &IdMaps,
        root: OwnedFd,
    ) -> Result<OwnedFd> {
        let place = Place {
            path: &self.place,
            source: self.place_source,
            tree: &root,
        };
        if hook_runner::runtime_hooks(plan, stage, home, launched.pid, &place)? {
            // From now on the root is the container's alone.
            let own = MountChange {
                propagation: self.propagation,
                ..MountChange::default()
            };
            sys::mounts::change(&root, own, false).at(Step::RunHook, "root: propagation")?;
        }
        if hooks::at(&plan.hooks, &[Point::CreateContainer])
            .next()
            .is_none()
        {
            return Ok(root);
        }
        self.clear_the_way(&root, maps)?;
        launched.link.run_hooks()?;
        let (_, namespace) = launched.link.expect(Report::HooksDone)?;
        self.bring_back(&root, namespace.first())
    }

    /// Lets container hooks reach what they are shown: as the container's root they can't pass directories that are closed to
    /// others, as a bundle is.
    fn clear_the_way(&self, root: &OwnedFd, maps: &IdMaps) -> Result<()> {
        if maps.is_empty() {
            return Ok(());
        }
        let mut way = Way::new(maps);
        way.lead(&self.place, root)?;
        self.shown
            .iter()
            .try_for_each(|(path, file)| way.lead(path, file))
    }

    /// Takes the root over as it stands in the hooks' own mount namespace.
    fn bring_back(&self, root: &OwnedFd, namespace: Option<&OwnedFd>) -> Result<OwnedFd> {
        let failed = |errno| StageError::os(Step::RunHook, &self.place, errno);
        let namespace = namespace.ok_or_else(|| failed(Errno::BADF))?;
        enter(namespace.as_fd(), libc::CLONE_NEWNS).at(Step::RunHook, "the hooks' mounts")?;
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let theirs = procfs::open_host(&self.place, flags).map_err(failed)?;
        if !same_file(&theirs, root).map_err(failed)? {
            return Err(StageError::new(
                Step::RunHook,
                &self.place,
                "a createContainer hook has mounted over the root itself",
            ));
        }
        let tree = clone_at(&theirs, true).map_err(failed)?;
        enter(self.namespace.as_fd(), libc::CLONE_NEWNS)
            .at(Step::RunHook, "copy of the host's mounts")?;
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(&tree, "", root, "", flags).map_err(failed)?;
        Ok(tree)
    }

    /// Takes the host's part away: the root becomes the root of the namespace, for all who are in it.
    pub fn take_away(&self, root: &OwnedFd, procfs: &Procfs) -> Result<()> {
        let failed = |errno| StageError::os(Step::LockMounts, "the host's mounts", errno);
        rustix::process::fchdir(root).map_err(failed)?;
        match rustix::process::pivot_root(".", ".") {
            Ok(()) => rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(failed),
            // The host's root is the initial ramfs, which stays: everything on it goes, and the root covers it for good.
            Err(Errno::INVAL) => {
                let mounts = mountinfo::parse(&procfs.read("self/mountinfo").map_err(failed)?);
                rustix::mount::move_mount(
                    root,
                    "",
                    rustix::fs::CWD,
                    "/",
                    MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
                )
                .map_err(failed)?;
                let below = format!("{}/", self.place);
                let host = |line: &&mountinfo::MountLine| {
                    line.point != "/" && !line.point.starts_with(&below)
                };
                for line in mounts.iter().rev().filter(host) {
                    match rustix::mount::unmount(&line.point, UnmountFlags::DETACH) {
                        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
                        Err(errno) => return Err(failed(errno)),
                    }
                }
                Ok(())
            }
            Err(errno) => Err(failed(errno)),
        }
    }
}

/// Clones of what container hooks are to find besides the root.
fn shown(plan: &CreatePlan, stage: &Stage) -> Result<Vec<(String, OwnedFd)>> {
    let handles = plan.root.iter().flat_map(|root| &root.shown_handles);
    handles
        .map(|handle| {
            let source = stage.handles.of_kind(*handle, Kind::Bind, Step::RunHook)?;
            let path = stage
                .procfs
                .path_of(&source.descriptor)
                .at(Step::RunHook, &source.path)?;
            let path = String::from_utf8_lossy(&path).into_owned();
            Ok((path, clone_mount(source, false)?))
        })
        .collect()
}

/// Whoever enters a mount namespace stands at its root, so that hooks would see another host than the caller does.
fn refuse_chroot() -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let root = procfs::open_host("/", flags).at(Step::RunHook, "/")?;
    let stat = rustix::fs::statx(&root, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
        .at(Step::RunHook, "/")?;
    if stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Ok(());
    }
    Err(StageError::new(
        Step::RunHook,
        "/",
        "the runtime runs in a plain directory by chroot, and hooks of a creation need a mount namespace with that root",
    )
    .remedy("start containerd with pivot_root(8) or a service manager's RootDirectory, or leave out the hooks"))
}

/// The tree is copied on its way, and unbindable mounts would get lost.
fn refuse_unbindable(plan: &CreatePlan) -> Result<()> {
    let is_unbindable = |propagation: u32| u64::from(propagation) & libc::MS_UNBINDABLE != 0;
    let root = plan
        .root
        .iter()
        .filter(|root| is_unbindable(root.propagation))
        .map(|_| "/");
    let mounts = plan
        .mounts
        .iter()
        .filter(|mount| is_unbindable(mount.propagation))
        .map(|mount| mount.destination.as_str());
    match root.chain(mounts).next() {
        None => Ok(()),
        Some(path) => Err(StageError::new(
            Step::RunHook,
            path,
            "an unbindable mount in a container with hooks",
        )
        .remedy(
            "make it private, or leave out the prestart, createRuntime and createContainer hooks",
        )),
    }
}

/// The root's propagation before the lock.
fn propagation(plan: &CreatePlan) -> u64 {
    let asked = plan.root.as_ref().map_or(0, |root| root.propagation);
    crate::rootfs::before_lock(asked)
}
