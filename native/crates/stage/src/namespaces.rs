//! Which namespaces a container gets, which it joins, and short visits of the stage to them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sys::clone::ForkFlags;
use sys::namespaces::{enter, unshare};
use wire::keeper::source::Kind as SourceKind;
use wire::plan::namespace::Kind;
use wire::plan::{Namespace, TimeOffset};

use crate::errors::{At, Result, StageError, Step};
use crate::procfs::Procfs;
use crate::sources::{Handles, same_file};
use crate::template::Template;

/// Of <linux/sched.h>.
pub const CLONE_NEWTIME: i32 = 0x80;

/// `CLONE_NEW*` flag and name beneath /proc/<pid>/ns.
pub fn flag_and_name(kind: Kind) -> Option<(i32, &'static str)> {
    Some(match kind {
        Kind::Unspecified => return None,
        Kind::Mount => (libc::CLONE_NEWNS, "mnt"),
        Kind::Pid => (libc::CLONE_NEWPID, "pid"),
        Kind::Network => (libc::CLONE_NEWNET, "net"),
        Kind::Ipc => (libc::CLONE_NEWIPC, "ipc"),
        Kind::Uts => (libc::CLONE_NEWUTS, "uts"),
        Kind::Cgroup => (libc::CLONE_NEWCGROUP, "cgroup"),
        Kind::User => (libc::CLONE_NEWUSER, "user"),
        Kind::Time => (CLONE_NEWTIME, "time"),
    })
}

/// The namespaces of a create plan.
pub struct Wanted<'a> {
    new: Vec<Kind>,
    joined: Vec<(Kind, BorrowedFd<'a>)>,
}

impl<'a> Wanted<'a> {
    pub fn of_plan(plan: &[Namespace], handles: &'a Handles) -> Result<Wanted<'a>> {
        let mut wanted = Wanted {
            new: Vec::new(),
            joined: Vec::new(),
        };
        for namespace in plan {
            let kind = Kind::try_from(namespace.kind).unwrap_or(Kind::Unspecified);
            let Some((flag, name)) = flag_and_name(kind) else {
                return Err(StageError::new(
                    Step::ReadPlan,
                    "namespaces",
                    format!("unknown kind {}", namespace.kind),
                ));
            };
            if wanted.has(kind) {
                return Err(StageError::new(
                    Step::ReadPlan,
                    format!("{name} namespace"),
                    "named twice",
                ));
            }
            if namespace.join_handle == 0 {
                wanted.new.push(kind);
                continue;
            }
            if kind == Kind::Mount {
                return Err(StageError::new(
                    Step::JoinNamespace,
                    "mount namespace",
                    "a container's mounts are its own",
                )
                .remedy("leave out the path of the mount namespace"));
            }
            let source = handles.of_kind(
                namespace.join_handle,
                SourceKind::Namespace,
                Step::JoinNamespace,
            )?;
            let descriptor = source.descriptor.as_fd();
            if sys::namespaces::kind(descriptor).at(Step::JoinNamespace, &source.path)? != flag {
                return Err(StageError::new(
                    Step::JoinNamespace,
                    &source.path,
                    format!("not a {name} namespace"),
                ));
            }
            wanted.joined.push((kind, descriptor));
        }
        if !wanted.new.contains(&Kind::Mount) {
            return Err(StageError::new(
                Step::ReadPlan,
                "namespaces",
                "a container needs a mount namespace",
            ));
        }
        Ok(wanted)
    }

    pub fn has(&self, kind: Kind) -> bool {
        self.is_new(kind) || self.joins(kind).is_some()
    }

    pub fn is_new(&self, kind: Kind) -> bool {
        self.new.contains(&kind)
    }

    pub fn joins(&self, kind: Kind) -> Option<BorrowedFd<'a>> {
        self.joined
            .iter()
            .find(|(joined, _)| *joined == kind)
            .map(|(_, descriptor)| *descriptor)
    }

    /// Those that the child is born into by clone3. Mount, cgroup and time come by other ways.
    pub fn fork_flags(&self) -> ForkFlags {
        self.new.iter().fold(ForkFlags::empty(), |flags, kind| {
            flags.with(match kind {
                Kind::User => ForkFlags::NEW_USER,
                Kind::Pid => ForkFlags::NEW_PID,
                Kind::Network => ForkFlags::NEW_NETWORK,
                Kind::Ipc => ForkFlags::NEW_IPC,
                Kind::Uts => ForkFlags::NEW_UTS,
                Kind::Unspecified | Kind::Mount | Kind::Cgroup | Kind::Time => ForkFlags::empty(),
            })
        })
    }

    /// Enters all joined ones but the user namespace, so that a child is born in them. `CLONE_NEW*` flags of them.
    pub fn enter_joined(&self) -> Result<i32> {
        let mut entered = 0;
        for (kind, descriptor) in self.joined.iter().filter(|(kind, _)| *kind != Kind::User) {
            if let Some((flag, name)) = flag_and_name(*kind) {
                enter(*descriptor, flag).at(Step::JoinNamespace, format!("{name} namespace"))?;
                entered |= flag;
            }
        }
        Ok(entered)
    }
}

/// The stage's own namespaces, to come back to.
pub struct Home {
    namespaces: Vec<(i32, OwnedFd)>,
    mounts: OwnedFd,
}

impl Home {
    pub fn remember(procfs: &Procfs) -> Result<Home> {
        let namespaces = [Kind::Network, Kind::Ipc, Kind::Uts, Kind::Cgroup, Kind::Pid]
            .into_iter()
            .filter_map(flag_and_name)
            .map(|(flag, name)| {
                Ok((
                    flag,
                    procfs
                        .namespace("self", name)
                        .at(Step::JoinNamespace, name)?,
                ))
            })
            .collect::<Result<_>>()?;
        let mounts = procfs
            .namespace("self", "mnt")
            .at(Step::JoinNamespace, "mnt")?;
        Ok(Home { namespaces, mounts })
    }

    /// Goes back to those of `flags` (`CLONE_NEW*`).
    pub fn come_back(&self, flags: i32) -> Result<()> {
        for (flag, descriptor) in self.namespaces.iter().filter(|(flag, _)| flags & flag != 0) {
            enter(descriptor.as_fd(), *flag).at(Step::JoinNamespace, "the stage's own")?;
        }
        Ok(())
    }

    /// Goes to the mount namespace that the stage was started in; for a process that does nothing else afterwards.
    pub fn go_to_mounts(&self) -> Result<()> {
        enter(self.mounts.as_fd(), libc::CLONE_NEWNS)
            .at(Step::JoinNamespace, "the stage's own mounts")
    }

    /// Does something in the namespaces `flags` of the process behind a pidfd.
    pub fn visit<T>(
        &self,
        pidfd: BorrowedFd<'_>,
        flags: i32,
        what: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        enter(pidfd, flags).at(Step::JoinNamespace, "the container's")?;
        let result = what();
        self.come_back(flags)?;
        result
    }

    /// Whether `namespace` is the very one the stage is at home in.
    pub fn is(&self, flag: i32, namespace: BorrowedFd<'_>) -> bool {
        self.namespaces.iter().any(|(own, descriptor)| {
            *own == flag && same_file(descriptor, namespace).unwrap_or(false)
        })
    }
}

/// Leaves the host's mounts for a private copy of the template.
pub fn enter_private_mounts(template: &Template) -> Result<()> {
    enter(template.mount_namespace.as_fd(), libc::CLONE_NEWNS)
        .at(Step::EnterMountNamespace, "template")?;
    unshare(libc::CLONE_NEWNS).at(Step::EnterMountNamespace, "copy of the template")
}

/// A time namespace for the children to come, its offsets written before anybody lives in it.
pub fn make_time_namespace(procfs: &Procfs, offsets: &[TimeOffset]) -> Result<()> {
    unshare(CLONE_NEWTIME).at(Step::MakeNamespace, "time namespace")?;
    for offset in offsets {
        if offset.clock != "monotonic" && offset.clock != "boottime" {
            return Err(StageError::new(
                Step::MakeNamespace,
                format!("time offset of {}", offset.clock),
                "unknown clock",
            ));
        }
        let line = format!("{} {} {}", offset.clock, offset.secs, offset.nanosecs);
        procfs.write("self/timens_offsets", line.as_bytes()).at(
            Step::MakeNamespace,
            format!("time namespace, offset {line}"),
        )?;
    }
    Ok(())
}
