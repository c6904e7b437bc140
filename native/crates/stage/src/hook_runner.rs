//! The process that runs the hooks of a creation, one after the other, in a mount namespace of its own: what hooks mount goes
//! where it shall, and what they leave behind stays out of the namespace that becomes the container's.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, OFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::mount::MoveMountFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use sys::clone::{ForkFlags, Forked};
use sys::mounts::MountChange;
use sys::namespaces::unshare;
use wire::plan::CreatePlan;
use wire::plan::hook::Point;

use crate::Stage;
use crate::child::Child;
use crate::errors::{At, Result, StageError, Step};
use crate::hooks::{self, CREATING, Program};
use crate::link::{Report, ToStage};
use crate::namespaces::Home;
use crate::packets;
use crate::procfs::{self, Procfs};
use crate::sources::{clone_at, same_file};

const RUNTIME_POINTS: [Point; 2] = [Point::Prestart, Point::CreateRuntime];
const CONTAINER_POINT: [Point; 1] = [Point::CreateContainer];
/// Exit status of a runner that has told its failure.
const TOLD: i32 = 1;

/// Where the caller has the container's root.
pub struct Place<'a> {
    pub path: &'a str,
    /// What stood there when it was opened.
    pub source: &'a OwnedFd,
    /// The root as the container will have it.
    pub tree: &'a OwnedFd,
}

pub fn has_runtime_hooks(plan: &CreatePlan) -> bool {
    hooks::at(&plan.hooks, &RUNTIME_POINTS).next().is_some()
}

/// Prestart and createRuntime hooks, with the stage's own credentials, in a copy of the runtime's mounts that passes on to
/// the host what it would pass on otherwise. The root stands at its place there, without what is mounted on it, and both are one
/// for mounts to come. Answers whether there were any.
pub fn runtime_hooks(
    plan: &CreatePlan,
    stage: &Stage,
    home: &Home,
    pid: i32,
    place: &Place<'_>,
) -> Result<bool> {
    if !has_runtime_hooks(plan) {
        return Ok(false);
    }
    let failed = |errno| StageError::os(Step::RunHook, "copy of the root", errno);
    let shared = MountChange {
        propagation: libc::MS_SHARED,
        ..MountChange::default()
    };
    sys::mounts::change(place.tree, shared, false).at(Step::RunHook, "root: shared with hooks")?;
    let root = clone_at(place.tree, false).map_err(failed)?;
    let state = hooks::state(&plan.state_json_parts, CREATING, pid)?;
    let (ours, theirs) = packets::pair().at(Step::RunHook, "runner")?;
    // SAFETY: a stage has a single thread.
    match unsafe { sys::clone::fork(ForkFlags::empty(), None) }.at(Step::RunHook, "runner")? {
        Forked::Child => {
            drop(ours);
            let link = ToStage(theirs);
            let run = || {
                home.go_to_mounts()?;
                unshare(libc::CLONE_NEWNS).at(Step::RunHook, "copy of the runtime's mounts")?;
                show(&root, place).map_err(|error| error.while_doing("showing the root"))?;
                drop(root);
                // All three ids, and with them the file system's.
                sys::credentials::set_gid(0).at(Step::RunHook, "group 0")?;
                sys::credentials::set_uid(0).at(Step::RunHook, "user 0")?;
                // Only now: a change of the file system id takes it back.
                sys::credentials::die_with_parent().at(Step::RunHook, "runner")?;
                run_all(plan, stage, &RUNTIME_POINTS, &state)
            };
            let told = run().and_then(|()| link.report(Report::HooksDone, &[], &[]));
            if let Err(error) = told {
                link.fail(&error);
            }
            sys::process::exit_now(0)
        }
        Forked::Parent { pidfd, .. } => {
            drop((theirs, root));
            let done = crate::link::ToProcess(ours).expect(Report::HooksDone);
            crate::idmap::reap(&pidfd);
            done.map(|_| true)
        }
    }
}

/// Attaches the root at its place, where nothing of that reaches the host.
fn show(root: &OwnedFd, place: &Place<'_>) -> Result<()> {
    let failed = |errno| StageError::os(Step::RunHook, place.path, errno);
    let at = procfs::open_host(place.path, OFlags::PATH | OFlags::DIRECTORY).map_err(failed)?;
    if !same_file(&at, place.source).map_err(failed)? {
        return Err(StageError::new(
            Step::RunHook,
            place.path,
            "another directory than the one that was opened",
        ));
    }
    if let Some(mount) = mount_of(&at).map_err(failed)? {
        let private = MountChange {
            propagation: libc::MS_PRIVATE,
            ..MountChange::default()
        };
        sys::mounts::change(&mount, private, false).at(Step::RunHook, place.path)?;
    }
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(root, "", &at, "", flags).map_err(failed)
}

/// The root directory of the mount that a directory is on; None where it lies above the process's own root.
fn mount_of(directory: &OwnedFd) -> rustix::io::Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut here = rustix::fs::openat(directory, ".", flags, rustix::fs::Mode::empty())?;
    loop {
        let stat = rustix::fs::statx(&here, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
        if stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
            return Ok(Some(here));
        }
        let above = rustix::fs::openat(&here, "..", flags, rustix::fs::Mode::empty())?;
        if same_file(&here, &above)? {
            return Ok(None);
        }
        here = above;
    }
}

/// CreateContainer hooks, for the container's waiting process, which is root of the container already: in a copy of its mount
/// namespace that belongs to the container's user namespace, so that they may mount. The stage gets that namespace.
pub fn container_hooks(child: &Child<'_>, plan: &CreatePlan, stage: &Stage) -> Result<()> {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let state = hooks::state(&plan.state_json_parts, CREATING, pid)?;
    // SAFETY: the container's process has a single thread.
    match unsafe { sys::clone::fork(ForkFlags::empty(), None) }.at(Step::RunHook, "runner")? {
        Forked::Child => {
            let run = || {
                sys::credentials::die_with_parent().at(Step::RunHook, "runner")?;
                rustix::process::set_child_subreaper(Pid::from_raw(1))
                    .at(Step::RunHook, "runner")?;
                unshare(libc::CLONE_NEWNS).at(Step::RunHook, "the container's mounts")?;
                let mounts = stage
                    .procfs
                    .namespace("self", "mnt")
                    .at(Step::RunHook, "the container's mounts")?;
                let ran = run_all(plan, stage, &CONTAINER_POINT, &state);
                end_children(&stage.procfs)?;
                ran.map(|()| mounts)
            };
            let told = run()
                .and_then(|mounts| child.link.report(Report::HooksDone, &[], &[mounts.as_fd()]));
            if let Err(error) = told {
                child.link.fail(&error);
                sys::process::exit_now(TOLD)
            }
            sys::process::exit_now(0)
        }
        Forked::Parent { pidfd, .. } => {
            let status =
                rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
                    .at(Step::RunHook, "runner")?;
            match status.map(|status| status.exit_status()) {
                Some(Some(0)) => Ok(()),
                Some(Some(TOLD)) => sys::process::exit_now(TOLD),
                _ => Err(StageError::new(Step::RunHook, "runner", "it was killed")),
            }
        }
    }
}

fn run_all(plan: &CreatePlan, stage: &Stage, points: &[Point], state: &str) -> Result<()> {
    for hook in hooks::at(&plan.hooks, points) {
        hooks::run(hook, &Program::of(hook, &stage.handles)?, state)?;
    }
    Ok(())
}

/// Ends what hooks have left running, all of which has become the caller's own: it sees the host's files, and the workload,
/// whose user namespace it lives in, could take it over.
fn end_children(procfs: &Procfs) -> Result<()> {
    let failed = |errno| StageError::os(Step::RunHook, "what hooks left running", errno);
    loop {
        match rustix::process::waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Err(Errno::CHILD) => return Ok(()),
            Err(errno) if errno != Errno::INTR => return Err(failed(errno)),
            Ok(Some(_)) | Err(_) => continue,
            Ok(None) => {}
        }
        let children = procfs.read("thread-self/children").map_err(failed)?;
        for child in children.split_ascii_whitespace() {
            // Nobody else reaps the caller's children: a number can't come to mean another process.
            let status = procfs.read(&format!("{child}/status")).map_err(failed)?;
            if let Some(pid) = innermost_pid(&status).and_then(Pid::from_raw) {
                rustix::process::kill_process(pid, Signal::KILL).map_err(failed)?;
            }
        }
        match rustix::process::waitid(WaitId::All, WaitIdOptions::EXITED) {
            Ok(_) | Err(Errno::INTR | Errno::CHILD) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
}

/// A process's id in its own pid namespace, from /proc/<pid>/status.
fn innermost_pid(status: &str) -> Option<i32> {
    status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?
        .split_ascii_whitespace()
        .next_back()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_is_the_innermost() {
        assert_eq!(
            innermost_pid("Name:\tx\nNSpid:\t4711\t12\t3\nVmPeak:\t1"),
            Some(3)
        );
        assert_eq!(innermost_pid("Name:\tx\n"), None);
    }
}
