//! File systems that show a namespace of the container: each is mounted by init credentials while the stage visits that
//! namespace, since the container itself may not, or would then be able to take it apart.

use std::os::fd::OwnedFd;

use rustix::fs::AtFlags;
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use wire::plan::{Fresh, Mount, mount};

use super::{Building, name};
use crate::errors::{At, Result, StageError, Step};
use crate::fresh;
use crate::helper;
use crate::template::MountOrder;
use crate::workshop::Workshop;

/// procfs and sysfs go on ordinary directories only: through a link their masks would land elsewhere.
pub fn needs_plain_path(plan: &Mount) -> bool {
    match &plan.source {
        Some(mount::Source::Fresh(fresh)) => matches!(fresh.fs_type.as_str(), "proc" | "sysfs"),
        Some(mount::Source::CgroupView(_)) => true,
        _ => false,
    }
}

pub fn mount(
    building: &Building<'_>,
    plan: &Mount,
    fresh: &Fresh,
    workshop: &mut Workshop,
) -> Result<OwnedFd> {
    let mut mount = || fresh::mount(fresh, building.handles, workshop, Step::Mount, &name(plan));
    match fresh.fs_type.as_str() {
        "proc" => proc(building, plan, fresh),
        "sysfs" => building
            .home
            .visit(building.pidfd, libc::CLONE_NEWNET, mount),
        "mqueue" => building
            .home
            .visit(building.pidfd, libc::CLONE_NEWIPC, mount),
        "cgroup" | "cgroup2" => building
            .home
            .visit(building.pidfd, libc::CLONE_NEWCGROUP, mount),
        "devpts" => {
            let mounted = mount()?;
            own_by_container_root(building, &mounted).at(Step::Mount, name(plan))?;
            Ok(mounted)
        }
        _ => mount(),
    }
}

/// devpts gives its root and ptmx to the mounter's root, whatever the file system ids.
fn own_by_container_root(building: &Building<'_>, devpts: &OwnedFd) -> rustix::io::Result<()> {
    let (uid, gid) = building.maps.root();
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    rustix::fs::chownat(devpts, "", uid, gid, AtFlags::EMPTY_PATH)?;
    rustix::fs::chownat(devpts, "ptmx", uid, gid, AtFlags::SYMLINK_NOFOLLOW)
}

fn proc(building: &Building<'_>, plan: &Mount, fresh: &Fresh) -> Result<OwnedFd> {
    let object = name(plan);
    let set_up = |context: &OwnedFd| {
        rustix::mount::fsconfig_set_string(context, "source", "proc").at(Step::Mount, &object)?;
        fresh::set_options(context, &fresh.options, Step::Mount, &object)
    };
    if building.order == MountOrder::Detached {
        let namespace = building
            .procfs
            .namespace(&building.pid.to_string(), "pid")
            .at(Step::Mount, &object)?;
        let context = fresh::open("proc", Step::Mount, &object)?;
        match rustix::mount::fsconfig_set_fd(&context, "pidns", &namespace) {
            Ok(()) => {
                set_up(&context)?;
                return fresh::create(&context, Step::Mount, &object);
            }
            // Linux before 6.18.
            Err(Errno::INVAL) => {}
            Err(errno) => return Err(StageError::os(Step::Mount, object, errno)),
        }
    }
    let mounted =
        helper::in_pid_namespace(building.home, building.pidfd, Step::Mount, &object, || {
            let context = fresh::open("proc", Step::Mount, &object)?;
            fresh::set_options(&context, &fresh.options, Step::Mount, &object)?;
            fresh::create(&context, Step::Mount, &object).map(Some)
        })?;
    mounted.ok_or_else(|| StageError::new(Step::Mount, object, "the helper made no mount"))
}
