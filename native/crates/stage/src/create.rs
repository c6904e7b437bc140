//! A create plan, carried out: this reads like the plan. Everything is mounted with init credentials in a private mount
//! namespace; the child's own unshare, the last thing before it drops what it has, locks it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use sys::credentials::CapabilitySets;
use sys::mounts::MountChange;
use wire::keeper::Executed;
use wire::plan::namespace::Kind;
use wire::plan::{CreatePlan, Process};

use crate::bounds;
use crate::cgroup::CgroupSet;
use crate::child::{Child, LaunchDescriptors, Ready, StartHooks};
use crate::devices;
use crate::errors::{At, Result, StageError, Step};
use crate::floor::Floor;
use crate::hook_runner;
use crate::host_view::HostView;
use crate::idmap::IdMaps;
use crate::landlock;
use crate::launch;
use crate::limits;
use crate::link::{Order, Report};
use crate::masks;
use crate::mounts::{self, Building};
use crate::namespaces::{self, CLONE_NEWTIME, Home, Wanted};
use crate::paths::{self, Target};
use crate::readback;
use crate::rootfs::{self, RootSource};
use crate::seccomp_agent;
use crate::sources::maps_of;
use crate::sysctls;
use crate::terminal;
use crate::trace::Trace;
use crate::undo::Undo;
use crate::workshop::Workshop;
use crate::{Stage, protect};

/// What goes back to the keeper.
pub struct Standing {
    pub executed: Executed,
    pub terminal: Option<OwnedFd>,
    pub seccomp_listener: Option<OwnedFd>,
}

pub fn create(
    stage: &Stage,
    floor: &Floor,
    plan: &CreatePlan,
    descriptors: LaunchDescriptors,
    undo: &mut Undo,
) -> Result<Standing> {
    let mut trace = Trace::start();
    let mut skipped = Vec::new();

    bounds::check_create(plan)?;
    let process = required(plan.process.as_ref(), "process")?;
    let root_plan = required(plan.root.as_ref(), "root")?;
    let wanted = Wanted::of_plan(&plan.namespaces, &stage.handles)?;
    let maps = maps_of_container(stage, plan, &wanted)?;
    floor.check_create(plan, &maps)?;
    trace.step("check");

    let cgroups = CgroupSet::make(
        &plan.cgroups.clone().unwrap_or_default(),
        undo,
        &mut skipped,
    )?;
    trace.step("cgroups");

    let root_source = RootSource::take(root_plan, &stage.handles, &stage.procfs)?;
    let prepared = mounts::prepare(&stage.procfs, plan, &stage.handles, &cgroups)?;
    trace.step("clone sources");

    let home = Home::remember(&stage.procfs)?;
    let host_view = HostView::make(plan, stage)?;
    if host_view.is_none() {
        namespaces::enter_private_mounts(&stage.template)?;
    }
    trace.step("mount namespace");

    if wanted.is_new(Kind::Time) {
        namespaces::make_time_namespace(&stage.procfs, &plan.time_offsets)?;
    }
    let launched = launch::container(stage, &wanted, &home, |link| {
        let child = Child {
            link,
            descriptors,
            procfs: &stage.procfs,
            process,
            start_hooks: StartHooks {
                hooks: &plan.hooks,
                state_parts: &plan.state_json_parts,
            },
            last_capability: stage.last_capability,
        };
        child.run(|child| init(child, stage, plan, &wanted, &cgroups))
    })?;
    undo.kill(launched.pidfd.try_clone().at(Step::StartChild, "pidfd")?);
    if wanted.is_new(Kind::User) {
        maps.write(&stage.procfs, launched.pid)?;
    }
    launched.link.expect(Report::Ready)?;
    if let Some(placeholder) = stage.placeholder {
        placeholder.end();
    }
    if host_view.is_some() {
        namespaces::enter_private_mounts(&stage.template)?;
    }
    home.come_back(CLONE_NEWTIME)?;
    trace.step("process");

    let new_namespace;
    let user_namespace = if wanted.is_new(Kind::User) {
        let pid = launched.pid.to_string();
        new_namespace = stage
            .procfs
            .namespace(&pid, "user")
            .at(Step::MapIds, "user namespace")?;
        Some(new_namespace.as_fd())
    } else {
        wanted.joins(Kind::User)
    };
    let for_hooks = match &host_view {
        Some(view) => view.root_ids(plan, &maps, &stage.procfs)?,
        None => None,
    };
    act_as_container_root(&maps)?;
    let mut workshop = Workshop::open()?;
    let order = stage.template.order;
    let mut root = rootfs::mount(
        root_plan,
        root_source,
        for_hooks.as_ref().map(OwnedFd::as_fd).or(user_namespace),
        order,
        &stage.handles,
        &mut workshop,
    )?;
    trace.step("root");

    let building = Building {
        root: &root,
        procfs: &stage.procfs,
        handles: &stage.handles,
        home: &home,
        pidfd: launched.pidfd.as_fd(),
        pid: launched.pid,
        maps: &maps,
        user_namespace,
        order,
    };
    let mut to_seal = mounts::mount_all(&building, prepared, &mut workshop)?;
    trace.step("mounts");

    for device in &plan.devices {
        devices::make(&root, device, &maps, &mut workshop)?;
    }
    for link in &plan.symlinks {
        devices::link(&root, link)?;
    }
    make_working_directory(&root, process)?;
    trace.step("devices");

    if let Some(view) = &host_view {
        (root, workshop) = view.move_in(&root, workshop, &mut to_seal)?;
        root = view.run_hooks(plan, stage, &home, &launched, &maps, root)?;
        to_seal.find_again(&root)?;
        trace.step("hooks");
    }
    let terminal = open_terminal(stage, &root, process, &maps)?;
    for path in &plan.readonly_paths {
        masks::make_read_only(&root, path)?;
    }
    for path in &plan.masked_paths {
        masks::mask(&root, path, &mut workshop)?;
    }
    to_seal.seal()?;
    if root_plan.readonly {
        let change = MountChange {
            set: libc::MOUNT_ATTR_RDONLY,
            ..Default::default()
        };
        sys::mounts::change(&root, change, false).at(Step::MountRoot, "read-only")?;
    }
    match &host_view {
        Some(view) => view.take_away(&root, &stage.procfs)?,
        None => workshop.close()?,
    }
    trace.step("masks");

    for sysctl in &plan.sysctls {
        sysctls::write(
            sysctl,
            &wanted,
            &home,
            launched.pidfd.as_fd(),
            &stage.procfs,
            maps.root().0,
            &mut skipped,
        )?;
    }
    let ruleset = landlock::build(&root, process.landlock.as_ref(), &mut skipped)?;
    trace.step("settings");

    let mut handed: Vec<BorrowedFd<'_>> = vec![root.as_fd()];
    handed.extend(terminal.as_ref().map(|terminal| terminal.slave.as_fd()));
    handed.extend(ruleset.as_ref().map(OwnedFd::as_fd));
    launched.link.go(&handed)?;
    let (report, _) = launched.link.expect(Report::Standing)?;
    let listener = launch::listener(&launched, &report)?;
    seccomp_agent::tell(
        &stage.procfs,
        &stage.handles,
        &process.seccomp,
        &plan.state_json_parts,
        launched.pid,
        listener.as_ref(),
    )?;
    limits::apply(&stage.procfs, launched.pid, process)?;
    trace.step("child");

    let mut executed = readback::read(&stage.procfs, launched.pid)?;
    trace.step("read back");
    executed.mount_order = order.name().to_owned();
    executed.skipped = skipped;
    executed.after_barrier = launch::after_barrier(&report);
    executed.timings = trace.finish();
    Ok(Standing {
        executed,
        terminal: terminal.map(|terminal| terminal.master),
        seccomp_listener: listener,
    })
}

/// The child's side, up to the point where it is no different from an exec'd process.
fn init(
    child: &mut Child<'_>,
    stage: &Stage,
    plan: &CreatePlan,
    wanted: &Wanted<'_>,
    cgroups: &CgroupSet,
) -> Result<Ready> {
    protect()?;
    let process = child.process;
    cgroups.enter()?;
    if wanted.is_new(Kind::Cgroup) {
        sys::namespaces::unshare(libc::CLONE_NEWCGROUP)
            .at(Step::MakeNamespace, "cgroup namespace")?;
    }
    child.link.report(Report::Ready, &[], &[])?;
    if plan.loopback_up && wanted.is_new(Kind::Network) {
        sys::links::loopback_up().at(Step::MakeNamespace, "loopback device")?;
    }
    let mut is_root = false;
    let handed = loop {
        match child.link.wait() {
            Some(Order::Go(handed)) => break handed,
            Some(Order::RunHooks) => {
                child.become_root()?;
                is_root = true;
                hook_runner::container_hooks(child, plan, stage)?;
            }
            None => sys::process::exit_now(1),
        }
    };
    let mut handed = handed.into_iter();
    let mut next = |there: bool| if there { handed.next() } else { None };
    let root = required(next(true), "root descriptor")?;
    let terminal = next(process.terminal);
    let landlock = next(
        process
            .landlock
            .as_ref()
            .is_some_and(|plan| plan.handled_fs != 0 || plan.handled_net != 0),
    );

    rustix::process::fchdir(&root)
        .and_then(|()| rustix::process::chroot("."))
        .at(Step::LockMounts, "/")?;
    sys::namespaces::unshare(libc::CLONE_NEWNS).at(Step::LockMounts, "mount namespace")?;
    let root = crate::child::own_root()?;
    share_again(plan, &root)?;
    let own_uts = wanted.is_new(Kind::Uts);
    set_names(plan, own_uts)?;
    if wanted.has(Kind::User) && !is_root {
        child.become_root()?;
    }
    Ok(Ready {
        root,
        terminal,
        landlock,
    })
}

/// The lock made shared mounts slaves; what is to be shared becomes so again, for what is mounted inside.
fn share_again(plan: &CreatePlan, root: &OwnedFd) -> Result<()> {
    let is_shared = |propagation: u32| u64::from(propagation) & libc::MS_SHARED != 0;
    let share = |mount: &OwnedFd, propagation: u32, name: &str| {
        let change = MountChange {
            propagation: libc::MS_SHARED,
            ..MountChange::default()
        };
        let recursive = u64::from(propagation) & libc::MS_REC != 0;
        sys::mounts::change(mount, change, recursive)
            .at(Step::LockMounts, format!("{name}: shared"))
    };
    if let Some(plan) = plan
        .root
        .as_ref()
        .filter(|plan| is_shared(plan.propagation))
    {
        // The root alone: what is mounted on it has a propagation of its own.
        share(root, plan.propagation & !(libc::MS_REC as u32), "/")?;
    }
    for mount in plan
        .mounts
        .iter()
        .filter(|mount| is_shared(mount.propagation))
    {
        let found = paths::open(root, &mount.destination, OFlags::PATH)
            .at(Step::LockMounts, &mount.destination)?;
        share(&found, mount.propagation, &mount.destination)?;
    }
    Ok(())
}

fn set_names(plan: &CreatePlan, own_uts: bool) -> Result<()> {
    for (name, set) in [
        (
            &plan.hostname,
            rustix::system::sethostname as fn(&[u8]) -> rustix::io::Result<()>,
        ),
        (&plan.domainname, rustix::system::setdomainname),
    ] {
        if name.is_empty() {
            continue;
        }
        if !own_uts {
            return Err(StageError::new(
                Step::SetHostname,
                name,
                "the container has no UTS namespace of its own",
            ));
        }
        set(name.as_bytes()).at(Step::SetHostname, name)?;
    }
    Ok(())
}

/// The maps that count: those to be written, or those of the joined namespace as the kernel has them.
fn maps_of_container(stage: &Stage, plan: &CreatePlan, wanted: &Wanted<'_>) -> Result<IdMaps> {
    let planned = IdMaps::of_plan(&plan.uid_maps, &plan.gid_maps)?;
    if wanted.is_new(Kind::User) {
        if planned.uid_extents().is_empty() || planned.gid_extents().is_empty() {
            return Err(StageError::new(
                Step::ReadPlan,
                "id maps",
                "a new user namespace needs uid and gid maps",
            ));
        }
        return Ok(planned);
    }
    let Some(joined) = wanted.joins(Kind::User) else {
        if planned.is_empty() {
            return Ok(planned);
        }
        return Err(StageError::new(
            Step::ReadPlan,
            "id maps",
            "there is no user namespace to map",
        ));
    };
    let (uid, gid) =
        maps_of(&stage.procfs, joined, false).at(Step::JoinNamespace, "user namespace")?;
    let real = IdMaps::parse(&uid, &gid).unwrap_or_default();
    if !planned.is_empty() && planned != real {
        return Err(StageError::new(
            Step::ReadPlan,
            "id maps",
            "not those of the joined user namespace",
        ));
    }
    Ok(real)
}

/// What is made from now on belongs to the container's root; the capabilities stay.
fn act_as_container_root(maps: &IdMaps) -> Result<()> {
    if maps.is_empty() {
        return Ok(());
    }
    let (uid, gid) = maps.root();
    let act = || {
        sys::credentials::set_fs_gid(gid)?;
        sys::credentials::set_fs_uid(uid)?;
        // The change of the file system id away from 0 lowered the effective set.
        let sets = sys::credentials::capabilities()?;
        sys::credentials::set_capabilities(CapabilitySets {
            effective: sets.permitted,
            ..sets
        })
    };
    act().at(Step::MapIds, format!("file system ids {uid}:{gid}"))?;
    protect()
}

fn open_terminal(
    stage: &Stage,
    root: &OwnedFd,
    process: &Process,
    maps: &IdMaps,
) -> Result<Option<terminal::Terminal>> {
    if !process.terminal {
        return Ok(None);
    }
    let uid = maps.host_uid(process.uid).ok_or_else(|| {
        StageError::new(
            Step::OpenTerminal,
            format!("user {}", process.uid),
            "it has no id in the container",
        )
    })?;
    let terminal = terminal::open(&stage.procfs, root, process, uid)?;
    terminal::bind_console(root, &terminal)?;
    Ok(Some(terminal))
}

/// Images name working directories that they don't contain; clients count on their being made.
fn make_working_directory(root: &OwnedFd, process: &Process) -> Result<()> {
    if process.cwd.is_empty() || process.cwd == "/" {
        return Ok(());
    }
    paths::open_or_make(root, &process.cwd, Target::Directory)
        .map(drop)
        .at(Step::EnterDirectory, &process.cwd)
}

pub fn required<T>(part: Option<T>, name: &str) -> Result<T> {
    part.ok_or_else(|| StageError::new(Step::ReadPlan, name, "missing"))
}
