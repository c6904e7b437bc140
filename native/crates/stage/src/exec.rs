//! An exec plan, carried out: a further process in a running container, under all its restrictions. The process enters the
//! container's namespaces itself, all at once, and can neither be traced nor looked into from inside while it does.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sys::clone::ForkFlags;
use wire::plan::ExecPlan;
use wire::plan::namespace::Kind;

use crate::bounds;
use crate::cgroup::CgroupSet;
use crate::child::{Child, LaunchDescriptors, Ready, StartHooks, own_root};
use crate::create::{Standing, required};
use crate::errors::{At, Result, StageError, Step};
use crate::floor::Floor;
use crate::landlock;
use crate::launch;
use crate::limits;
use crate::link::{Order, Report};
use crate::namespaces::{Home, flag_and_name};
use crate::readback;
use crate::seccomp_agent;
use crate::terminal;
use crate::trace::Trace;
use crate::undo::Undo;
use crate::{Stage, protect};

pub fn exec(
    stage: &Stage,
    floor: &Floor,
    plan: &ExecPlan,
    descriptors: LaunchDescriptors,
    init: &OwnedFd,
    undo: &mut Undo,
) -> Result<Standing> {
    let mut trace = Trace::start();
    let mut skipped = Vec::new();

    bounds::check_cgroups(plan.cgroups.as_ref())?;
    let process = required(plan.process.as_ref(), "process")?;
    bounds::check_process(process)?;
    floor.check_exec(plan)?;
    let join = namespaces_to_join(plan)?;
    let mut cgroups = plan.cgroups.clone().unwrap_or_default();
    for dir in &mut cgroups.dirs {
        dir.create = false;
    }
    let cgroups = CgroupSet::make(&cgroups, undo, &mut skipped)?;
    trace.step("check");

    let home = Home::remember(&stage.procfs)?;
    let start = || {
        launch::fork(ForkFlags::empty(), |link| {
            let child = Child {
                link,
                descriptors,
                procfs: &stage.procfs,
                process,
                start_hooks: StartHooks::default(),
                last_capability: stage.last_capability,
            };
            child.run(|child| enter(child, init.as_fd(), join & !libc::CLONE_NEWPID, &cgroups))
        })
    };
    let launched = match join & libc::CLONE_NEWPID {
        0 => start()?,
        pid => home.visit(init.as_fd(), pid, start)?,
    };
    undo.kill(launched.pidfd.try_clone().at(Step::StartChild, "pidfd")?);
    let (missing, mut handed) = launched.link.expect(Report::Ready)?;
    skipped.extend(String::from_utf8_lossy(&missing).lines().map(str::to_owned));
    trace.step("process");

    launched.link.go(&[])?;
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
    executed.skipped = skipped;
    executed.after_barrier = launch::after_barrier(&report);
    executed.timings = trace.finish();
    Ok(Standing {
        executed,
        terminal: handed.pop(),
        seccomp_listener: listener,
    })
}

fn namespaces_to_join(plan: &ExecPlan) -> Result<i32> {
    let mut flags = 0;
    for kind in &plan.join {
        let known = Kind::try_from(*kind).ok().and_then(flag_and_name);
        let (flag, _) = known.ok_or_else(|| {
            StageError::new(
                Step::ReadPlan,
                "join",
                format!("unknown namespace kind {kind}"),
            )
        })?;
        flags |= flag;
    }
    if flags & libc::CLONE_NEWNS == 0 {
        return Err(StageError::new(
            Step::ReadPlan,
            "join",
            "an exec must enter the container's mount namespace",
        ));
    }
    Ok(flags)
}

/// The child's side, up to the point where it is no different from init.
fn enter(
    child: &mut Child<'_>,
    init: BorrowedFd<'_>,
    join: i32,
    cgroups: &CgroupSet,
) -> Result<Ready> {
    protect()?;
    let process = child.process;
    if !process.cpu_affinity_initial.is_empty() {
        sys::scheduling::set_affinity(&process.cpu_affinity_initial)
            .at(Step::SetScheduling, "initial CPU affinity")?;
    }
    cgroups.enter()?;
    if !process.cpu_affinity_final.is_empty() {
        sys::scheduling::set_affinity(&process.cpu_affinity_final)
            .at(Step::SetScheduling, "CPU affinity")?;
    }
    sys::namespaces::enter(init, join)
        .at(Step::JoinNamespace, "the container's")
        .map_err(|error| error.remedy("its first process may just have ended"))?;
    protect()?;
    if join & libc::CLONE_NEWUSER != 0 {
        child.become_root()?;
    }
    let root = own_root()?;
    let opened = match process.terminal {
        true => Some(terminal::open(child.procfs, &root, process, process.uid)?),
        false => None,
    };
    let mut skipped = Vec::new();
    let landlock = landlock::build(&root, process.landlock.as_ref(), &mut skipped)?;
    let master: Vec<BorrowedFd<'_>> = opened
        .iter()
        .map(|terminal| terminal.master.as_fd())
        .collect();
    child
        .link
        .report(Report::Ready, skipped.join("\n").as_bytes(), &master)?;
    drop(master);
    let Some(Order::Go(_)) = child.link.wait() else {
        sys::process::exit_now(1)
    };
    Ok(Ready {
        root,
        terminal: opened.map(|terminal| terminal.slave),
        landlock,
    })
}
