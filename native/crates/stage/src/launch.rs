//! Starting the container's process: a child of the keeper, born in its namespaces.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::process::{PidfdGetfdFlags, pidfd_getfd};
use sys::clone::{ForkFlags, Forked};
use wire::plan::namespace::Kind;

use crate::Stage;
use crate::errors::{At, Result, StageError, Step};
use crate::link::{ToProcess, ToStage};
use crate::namespaces::{Home, Wanted};
use crate::packets;
use crate::procfs::Procfs;

/// A process that was started and is still being set up.
pub struct Launched {
    /// In the stage's pid namespace.
    pub pid: i32,
    pub pidfd: OwnedFd,
    pub link: ToProcess,
}

/// Forks the container's first process with `child` as its life.
pub fn container(
    stage: &Stage,
    wanted: &Wanted<'_>,
    home: &Home,
    child: impl FnOnce(ToStage),
) -> Result<Launched> {
    if let Some(user) = wanted.joins(Kind::User) {
        return within_joined_user(stage, wanted, user, child);
    }
    let entered = wanted.enter_joined()?;
    let launched = fork(wanted.fork_flags(), child)?;
    home.come_back(entered)?;
    Ok(launched)
}

/// Forks a sibling of the stage.
pub fn fork(flags: ForkFlags, child: impl FnOnce(ToStage)) -> Result<Launched> {
    let (ours, theirs) = packets::pair().at(Step::StartChild, "link")?;
    // SAFETY: a stage has a single thread.
    match unsafe { sys::clone::fork(flags.with(ForkFlags::SIBLING), None) } {
        Ok(Forked::Child) => {
            drop(ours);
            child(ToStage(theirs));
            sys::process::exit_now(1)
        }
        Ok(Forked::Parent { pid, pidfd }) => Ok(Launched {
            pid,
            pidfd,
            link: ToProcess(ours),
        }),
        Err(error) => Err(fork_failed(&error)),
    }
}

fn fork_failed(error: &std::io::Error) -> StageError {
    let error = StageError::os(Step::StartChild, "namespaces", crate::sources::raw(error));
    match error.errno {
        libc::ENOSPC | libc::EUSERS => error.remedy("a limit in /proc/sys/user is reached"),
        libc::EAGAIN => error.remedy("the limit of processes of containerd's user or cgroup is reached"),
        libc::EPERM => error.remedy("user namespaces may be switched off (kernel.unprivileged_userns_clone, user.max_user_namespaces)"),
        _ => error,
    }
}

/// Who has entered a user namespace never gets back, so another process does it: it enters all that is joined, the user
/// namespace last, and forks the container's process, so that what is new belongs to the joined user namespace.
fn within_joined_user(
    stage: &Stage,
    wanted: &Wanted<'_>,
    user: std::os::fd::BorrowedFd<'_>,
    child: impl FnOnce(ToStage),
) -> Result<Launched> {
    let (ours, theirs) = packets::pair().at(Step::StartChild, "link")?;
    let (mut ours, mut theirs) = (Some(ours), Some(theirs));
    let between = fork(ForkFlags::empty(), |link| {
        drop(ours.take());
        let enter = || -> Result<OwnedFd> {
            sys::credentials::set_dumpable(false).at(Step::StartChild, "not dumpable")?;
            wanted.enter_joined()?;
            sys::namespaces::enter(user, libc::CLONE_NEWUSER)
                .at(Step::JoinNamespace, "user namespace")?;
            sys::credentials::set_dumpable(false).at(Step::StartChild, "not dumpable")?;
            // SAFETY: a fork of a stage has a single thread.
            let forked =
                unsafe { sys::clone::fork(wanted.fork_flags().with(ForkFlags::SIBLING), None) };
            match forked {
                Ok(Forked::Child) => match theirs.take() {
                    Some(theirs) => {
                        child(ToStage(theirs));
                        sys::process::exit_now(1)
                    }
                    None => sys::process::exit_now(1),
                },
                Ok(Forked::Parent { pidfd, .. }) => Ok(pidfd),
                Err(error) => Err(fork_failed(&error)),
            }
        };
        match enter() {
            Ok(pidfd) => {
                let _ = link.report(crate::link::Report::Ready, &[], &[pidfd.as_fd()]);
            }
            Err(error) => link.fail(&error),
        }
        sys::process::exit_now(0)
    })?;
    drop(theirs);
    let (_, mut descriptors) = between.link.expect(crate::link::Report::Ready)?;
    let pidfd = descriptors
        .pop()
        .ok_or_else(|| StageError::new(Step::StartChild, "pidfd", "none came"))?;
    let pid = pid_of(&stage.procfs, &pidfd).at(Step::StartChild, "pidfd")?;
    let link = ours.ok_or_else(|| StageError::new(Step::StartChild, "link", "lost"))?;
    Ok(Launched {
        pid,
        pidfd,
        link: ToProcess(link),
    })
}

fn pid_of(procfs: &Procfs, pidfd: &OwnedFd) -> rustix::io::Result<i32> {
    let info = procfs.read(&format!("self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let line = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    line.and_then(|pid| pid.trim().parse().ok())
        .filter(|pid| *pid > 0)
        .ok_or(rustix::io::Errno::SRCH)
}

/// The seccomp listener that the process made, fetched from it: a filter may forbid it to send anything.
pub fn listener(launched: &Launched, report: &[u8]) -> Result<Option<OwnedFd>> {
    let number = report
        .get(1..5)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(-1, i32::from_ne_bytes);
    if number < 0 {
        return Ok(None);
    }
    pidfd_getfd(&launched.pidfd, number, PidfdGetfdFlags::empty())
        .at(Step::InstallSeccomp, "listener")
        .map(Some)
}

/// What the process has left for after its barrier.
pub fn after_barrier(report: &[u8]) -> Vec<String> {
    if report.first() == Some(&1) {
        vec!["seccomp".to_owned()]
    } else {
        Vec::new()
    }
}
