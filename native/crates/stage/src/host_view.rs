//! The mount namespace that hooks of a create see: the host's mounts, private, with the container's root at the caller's own path
//! of it. The container's process lives in it from its birth, so a hook that enters the process's mount namespace mounts into
//! the very tree that the container gets. Afterwards the host's part is taken away, and the process's unshare locks the rest.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, MoveMountFlags, UnmountFlags};
use sys::namespaces::{enter, unshare};
use wire::keeper::source::Kind;
use wire::plan::hook::Point;
use wire::plan::{CreatePlan, Hook};

use crate::Stage;
use crate::errors::{At, Result, StageError, Step};
use crate::hooks::{self, CREATING, Program};
use crate::mountinfo;
use crate::mounts::ToSeal;
use crate::namespaces::Home;
use crate::procfs::{self, Procfs};
use crate::sources::{clone_at, same_file};
use crate::workshop::Workshop;

/// Points whose hooks need to see the root where the caller has it.
const POINTS: [Point; 3] = [
    Point::Prestart,
    Point::CreateRuntime,
    Point::CreateContainer,
];
const RUNTIME_POINTS: [Point; 2] = [Point::Prestart, Point::CreateRuntime];
const CONTAINER_POINT: [Point; 1] = [Point::CreateContainer];

/// A private copy of the host's mounts, which the stage is in when this is made.
pub struct HostView<'a> {
    namespace: OwnedFd,
    /// The caller's own path of the root, as the kernel names it.
    place: String,
    /// What stood there when it was opened.
    place_source: &'a OwnedFd,
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
        }))
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

    /// Hooks in the runtime's own namespaces, with the stage's own credentials.
    pub fn run_runtime_hooks(
        &self,
        plan: &CreatePlan,
        stage: &Stage,
        home: &Home,
        pid: i32,
    ) -> Result<()> {
        let state = hooks::state(&plan.state_json_parts, CREATING, pid)?;
        for hook in hooks::at(&plan.hooks, &RUNTIME_POINTS) {
            let program = Program::of(hook, &stage.handles)?;
            hooks::run(hook, &program, &state, || {
                home.go_to_mounts()?;
                // All three ids, and with them the file system's.
                sys::credentials::set_gid(0).at(Step::RunHook, "group 0")?;
                sys::credentials::set_uid(0).at(Step::RunHook, "user 0")
            })?;
        }
        Ok(())
    }
}

/// Hooks in the container's namespaces, run by its waiting process, whose state they are told as it sees itself.
pub fn run_container_hooks(plan: &CreatePlan, stage: &Stage) -> Result<()> {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let state = hooks::state(&plan.state_json_parts, CREATING, pid)?;
    for hook in hooks::at(&plan.hooks, &CONTAINER_POINT) {
        let program = Program::of(hook, &stage.handles)?;
        hooks::run(hook, &program, &state, || Ok(()))?;
    }
    Ok(())
}

/// Whether the plan has hooks that the container's process runs before its mounts are locked.
pub fn has_container_hooks(hooks: &[Hook]) -> bool {
    hooks::at(hooks, &CONTAINER_POINT).next().is_some()
}
