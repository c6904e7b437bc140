//! Kernel settings of the container's namespaces, written with the stage's credentials through its pinned procfs while it
//! visits the namespace, never in one that isn't the container's.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use sys::credentials::{self, CapabilitySets};
use wire::plan::Sysctl;
use wire::plan::namespace::Kind;

use crate::errors::{At, Result, StageError, Step};
use crate::helper;
use crate::namespaces::{Home, Wanted, flag_and_name};
use crate::procfs::Procfs;
use crate::sources::raw;

/// Writes one setting, as user `owner` (the container's root) where that must be; says in `skipped` if it isn't there and need not be.
pub fn write(
    sysctl: &Sysctl,
    wanted: &Wanted<'_>,
    home: &Home,
    pidfd: BorrowedFd<'_>,
    procfs: &Procfs,
    owner: u32,
    skipped: &mut Vec<String>,
) -> Result<()> {
    let object = format!("{} = {}", sysctl.path, sysctl.value);
    if sysctl
        .path
        .split('/')
        .any(|part| part.is_empty() || part == "." || part == "..")
    {
        return Err(StageError::new(
            Step::WriteSysctl,
            object,
            "not a path below /proc/sys",
        ));
    }
    let kind = Kind::try_from(sysctl.namespace).unwrap_or(Kind::Unspecified);
    let Some((flag, name)) = flag_and_name(kind) else {
        return Err(StageError::new(
            Step::WriteSysctl,
            object,
            "belongs to no namespace: it would change the host",
        ));
    };
    let own = wanted.is_new(kind)
        || wanted
            .joins(kind)
            .is_some_and(|namespace| !home.is(flag, namespace));
    if !own {
        return Err(StageError::new(
            Step::WriteSysctl,
            object,
            format!("the container shares the host's {name} namespace"),
        )
        .remedy("give the container a namespace of its own, or leave the setting out"));
    }
    let path = format!("sys/{}", sysctl.path);
    // Settings of namespaces that a user namespace owns are written by its root; whose capabilities don't count there, ours
    // do elsewhere.
    let write = || match procfs.write(&path, sysctl.value.as_bytes()) {
        Err(Errno::ACCESS | Errno::PERM) => {
            as_user(owner, || procfs.write(&path, sysctl.value.as_bytes()))
        }
        result => result,
    };
    let written = match kind {
        Kind::Network | Kind::Ipc | Kind::Uts => home.visit(pidfd, flag, || Ok(write()))?,
        Kind::Pid => {
            let inside = helper::in_pid_namespace(home, pidfd, Step::WriteSysctl, &object, || {
                write().at(Step::WriteSysctl, &object).map(|()| None)
            });
            match inside {
                Ok(_) => Ok(()),
                Err(error) if error.errno == 0 => return Err(error),
                Err(error) => Err(Errno::from_raw_os_error(error.errno)),
            }
        }
        Kind::Unspecified | Kind::Mount | Kind::User | Kind::Cgroup | Kind::Time => {
            return Err(StageError::new(
                Step::WriteSysctl,
                object,
                format!("the {name} namespace has no settings"),
            ));
        }
    };
    match written {
        Ok(()) => Ok(()),
        Err(Errno::NOENT) if sysctl.ignore_missing => {
            skipped.push(format!("sysctl {}", sysctl.path));
            Ok(())
        }
        Err(errno) => Err(StageError::os(Step::WriteSysctl, object, errno)),
    }
}

/// With another effective user id, and all capabilities.
fn as_user(uid: u32, what: impl FnOnce() -> rustix::io::Result<()>) -> rustix::io::Result<()> {
    // Each change of the effective or file system id away from 0 lowers the effective set.
    let become_user = || credentials::set_effective_uid(uid).and_then(|()| become_capable());
    let come_back = || {
        credentials::set_effective_uid(0)
            .and_then(|()| credentials::set_fs_uid(uid))
            .and_then(|()| become_capable())
    };
    become_user().map_err(|error| raw(&error))?;
    let result = what();
    come_back().map_err(|error| raw(&error))?;
    crate::protect().map_err(|error| Errno::from_raw_os_error(error.errno))?;
    result
}

fn become_capable() -> std::io::Result<()> {
    let sets = credentials::capabilities()?;
    credentials::set_capabilities(CapabilitySets {
        effective: sets.permitted,
        ..sets
    })
}
