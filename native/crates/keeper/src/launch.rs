//! From a plan to a process: Execute, Release and Abort.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use wire::keeper::stage_execute::FdRole;
use wire::keeper::{
    ContainerCare, Execute, Executed, Failure, OpenStage, ProcessInfo, StageExecute, from_stage,
    step_result, to_stage,
};

use crate::deframe::Deframer;
use crate::keeper::{Child, Keeper, Timer};
use crate::pod::{Barrier, Process, ProcessKey, Told};
use crate::problem::{done, explained, failure};
use crate::reactor::{Interest, Source};
use crate::requests::Ticket;
use crate::stages::Phase;
use crate::stdio::Prepared;

/// How long a process may take to go after it was killed.
pub const END_LIMIT: Duration = Duration::from_secs(2);

/// A process in the making.
pub struct Launch {
    ticket: Ticket,
    key: ProcessKey,
    release: bool,
    info: ProcessInfo,
    plan: Vec<u8>,
    /// Our end of the barrier, and the process's.
    barrier: OwnedFd,
    barrier_inside: OwnedFd,
    io: Prepared,
    /// Loggers that aren't ready yet.
    pub awaited: BTreeSet<u64>,
    /// The care that this container had before, brought back if the launch fails.
    former_care: Option<ContainerCare>,
    /// The plan has been handed over.
    told: bool,
    /// The stage has not said yet that its sources are open; where this step opens them.
    pub opens: bool,
}

impl Keeper {
    pub fn execute(&mut self, ticket: Ticket, asked: Execute) {
        if let Err(failure) = self.begin_launch(ticket, asked) {
            self.finish(ticket, Err(failure));
        }
    }

    fn begin_launch(&mut self, ticket: Ticket, mut asked: Execute) -> Result<(), Failure> {
        let key = ProcessKey::new(&asked.container_id, &asked.exec_id);
        let stage = self
            .stages
            .iter()
            .find(|(_, stage)| stage.key == key && matches!(stage.phase, Phase::Open));
        let stage = stage.map(|(id, _)| *id);
        let open = asked.open.take();
        let refused = |error, cause| Err(explained("execute", &key, error, cause, ""));
        if stage.is_none() && open.is_none() {
            return refused(Errno::SRCH, "no stage is open for it");
        }
        if self
            .pod
            .process(&key)
            .is_some_and(|process| process.pid != 0)
        {
            return refused(Errno::EXIST, "it has been started before");
        }
        let opens = stage.is_none();
        let stage = match (stage, open) {
            (Some(stage), _) => stage,
            (None, open) => {
                let open = OpenStage {
                    container_id: key.container.clone(),
                    exec_id: key.exec.clone(),
                    ..open.unwrap_or_default()
                };
                self.begin_stage(key.clone(), ticket.seq, Phase::Open, open)?
            }
        };
        let failed = |error: Errno| failure("make the barrier", &key, error);
        let (barrier, barrier_inside) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(failed)?;
        rustix::fs::fcntl_setfl(&barrier, rustix::fs::OFlags::NONBLOCK).map_err(failed)?;
        let mut io = self.prepare_io(&asked.stdio.unwrap_or_default(), &key)?;
        let container = self
            .pod
            .containers
            .entry(key.container.clone())
            .or_default();
        let former_care = container.care.clone();
        if let Some(care) = asked.care {
            // Directories that stand already are not this launch's to undo.
            let standing = crate::cgroup::existing(&care.cgroup_dirs);
            let undo = care
                .cgroup_dirs
                .iter()
                .filter(|dir| !standing.contains(dir))
                .cloned()
                .collect();
            if let Some(stage) = self.stages.get_mut(&stage) {
                stage.undo = undo;
            }
            container.care = Some(care);
        }
        // Before anything is made that only the record could find again.
        if let Err(error) = self.try_store_record() {
            self.restore_care(&key.container, former_care);
            let dir = self.config.pod_dir.display();
            return Err(crate::problem::failed_write(
                "write the record",
                dir,
                &error,
            ));
        }
        let awaited = match self.start_loggers(&mut io, &key, stage) {
            Ok(awaited) => awaited,
            Err(failure) => {
                self.restore_care(&key.container, former_care);
                return Err(failure);
            }
        };
        let ready = awaited.is_empty();
        let launch = Launch {
            ticket,
            key,
            release: asked.release,
            info: asked.info.unwrap_or_default(),
            plan: asked.plan,
            barrier,
            barrier_inside,
            io,
            awaited,
            former_care,
            told: false,
            opens,
        };
        if let Some(stage) = self.stages.get_mut(&stage) {
            stage.phase = Phase::Launching(Box::new(launch));
        }
        if ready {
            self.hand_over_plan(stage);
        }
        Ok(())
    }

    fn restore_care(&mut self, id: &str, former: Option<ContainerCare>) {
        if let Some(container) = self.pod.containers.get_mut(id) {
            container.care = former;
            if container.is_empty() {
                self.pod.containers.remove(id);
            }
        }
        self.dirty = true;
    }

    /// Everything the stage needs is there.
    pub fn hand_over_plan(&mut self, id: u64) {
        let Some(stage) = self.stages.get_mut(&id) else {
            return;
        };
        let Phase::Launching(launch) = &mut stage.phase else {
            return;
        };
        if launch.told || !launch.awaited.is_empty() {
            return;
        }
        launch.told = true;
        let mut descriptors = std::mem::take(&mut launch.io.inside);
        let barrier = launch.barrier_inside.try_clone();
        let init = ProcessKey::new(&launch.key.container, "");
        if !launch.key.is_init() {
            let pidfd = self.pod.process(&init).and_then(|init| init.pidfd.as_ref());
            match pidfd.map(OwnedFd::try_clone) {
                Some(Ok(pidfd)) => descriptors.push((FdRole::InitPidfd, pidfd)),
                _ => {
                    let failure = explained(
                        "execute",
                        &launch.key,
                        Errno::SRCH,
                        "the container's init is gone",
                        "",
                    );
                    return self.give_up_launch(id, failure);
                }
            }
        }
        match barrier {
            Ok(barrier) => descriptors.push((FdRole::Barrier, barrier)),
            Err(error) => {
                let failure = crate::problem::failed_io("make the barrier", &launch.key, &error);
                return self.give_up_launch(id, failure);
            }
        }
        self.outside.release(&launch.key.container);
        let plan = std::mem::take(&mut launch.plan);
        let (roles, descriptors): (Vec<_>, Vec<_>) = descriptors
            .into_iter()
            .map(|(role, descriptor)| (i32::from(role), descriptor))
            .unzip();
        self.tell_stage(
            id,
            to_stage::Message::Execute(StageExecute { plan, fds: roles }),
            descriptors,
        );
    }

    /// Fails a launch whose stage has done nothing yet.
    pub fn give_up_launch(&mut self, id: u64, failure: Failure) {
        let Some(stage) = self.stages.get_mut(&id) else {
            return;
        };
        if let Phase::Launching(launch) = std::mem::replace(&mut stage.phase, Phase::Over) {
            stage.undo.clear();
            self.launch_failed(*launch, failure);
        }
        self.end_stage(id, None);
    }

    /// No process came of it. The FIFOs are closed, so that their readers see the end.
    pub fn launch_failed(&mut self, launch: Launch, failure: Failure) {
        for logger in &launch.io.loggers {
            self.end_logger(*logger);
        }
        self.close_prepared(launch.io);
        self.restore_care(&launch.key.container, launch.former_care);
        self.finish(launch.ticket, Err(failure));
    }

    /// The process stands at its barrier. False if it could not be taken over.
    pub fn executed(
        &mut self,
        launch: Launch,
        mut executed: Executed,
        descriptors: Vec<(from_stage::FdRole, OwnedFd)>,
    ) -> bool {
        executed.landlock = self.domain.clone();
        let pid = executed.pid;
        let early = self.early_ends.remove(&(pid, executed.start_time));
        let pidfd = match (early, Pid::from_raw(pid)) {
            (Some(_), _) => None,
            (None, Some(number))
                if sys::children::is_child(pid) && !self.children.contains_key(&pid) =>
            {
                match pidfd_open(number, PidfdFlags::empty()) {
                    Ok(pidfd) => Some(pidfd),
                    Err(error) => {
                        crate::exits::kill(pid);
                        let failure = failure("pidfd_open", format_args!("pid {pid}"), error);
                        self.launch_failed(launch, failure);
                        return false;
                    }
                }
            }
            _ => {
                let failure = explained(
                    "execute",
                    format_args!("pid {pid}"),
                    Errno::CHILD,
                    "it is not a child of the keeper",
                    "",
                );
                self.launch_failed(launch, failure);
                return false;
            }
        };
        let Launch {
            ticket,
            key,
            release,
            info,
            barrier,
            barrier_inside,
            io,
            ..
        } = launch;
        // The process holds its own; ours would keep the end of file from showing.
        drop(barrier_inside);
        let number = self.reactor.fresh_id();
        let _ = self
            .reactor
            .add(&barrier, Source::Barrier, number, Interest::Read);
        let mut barrier = Barrier {
            id: number,
            socket: barrier,
            deframer: Deframer::default(),
            release: None,
            after_exec: None,
        };
        let mut master = None;
        let mut held = Vec::new();
        for (role, descriptor) in descriptors {
            match role {
                from_stage::FdRole::PtyMaster => master = Some(descriptor),
                from_stage::FdRole::Unspecified | from_stage::FdRole::SeccompListener => {
                    held.push(descriptor)
                }
            }
        }
        let result = executed.clone();
        if release {
            barrier.release = Some((ticket, Some(Box::new(executed))));
        }
        let io = self.start_io(io, master, &key);
        let former = self.pod.process(&key).map(|process| process.info.clone());
        let process = Process {
            info: if info == ProcessInfo::default() {
                former.unwrap_or_default()
            } else {
                info
            },
            pid,
            start_time: result.start_time,
            pidfd,
            barrier: Some(barrier),
            held,
            io,
            ..Process::default()
        };
        let container = self
            .pod
            .containers
            .entry(key.container.clone())
            .or_default();
        container.processes.insert(key.exec.clone(), process);
        if key.is_init() {
            container.note_own_dirs();
        }
        self.dirty = true;
        self.store_record();
        if key.is_init() {
            self.watch_oom(&key.container);
        }
        match early {
            Some(exit) => self.process_ended(&key, exit),
            None => {
                self.children.insert(pid, Child::Process(key.clone()));
                if release {
                    self.open_barrier(&key);
                }
            }
        }
        if !release {
            self.finish(ticket, Ok(step_result::Result::Executed(result)));
        }
        true
    }

    pub fn abort(&mut self, ticket: Ticket, key: &ProcessKey) {
        let stage = self
            .stages
            .iter()
            .find(|(_, stage)| stage.key == *key && !matches!(stage.phase, Phase::Over));
        if let Some((id, _)) = stage {
            return self.end_stage(*id, Some(ticket));
        }
        let Some(process) = self.pod.process_mut(key).filter(|process| process.pid != 0) else {
            return self.finish(ticket, done());
        };
        if process.is_alive()
            && process
                .barrier
                .as_ref()
                .is_none_or(|barrier| barrier.release.is_some())
        {
            let failure = explained(
                "abort",
                key,
                Errno::BUSY,
                "the process has been released",
                "kill it",
            );
            return self.finish(ticket, Err(failure));
        }
        process.told = Told::Yes;
        process.forget_with = Some(ticket.seq);
        process.ending.push((ticket, None));
        if process.exit.is_some() {
            return self.end_of_ending(key);
        }
        let _ = self.kill_one(key, Signal::KILL);
        self.reactor
            .after(END_LIMIT, Timer::ProcessEnd(key.clone()));
    }

    /// The process is dead: the steps that waited for it end.
    pub fn end_of_ending(&mut self, key: &ProcessKey) {
        let Some(process) = self.pod.process_mut(key) else {
            return;
        };
        let (failed, aborted): (Vec<_>, Vec<_>) = std::mem::take(&mut process.ending)
            .into_iter()
            .partition(|(_, failure)| failure.is_some());
        for (ticket, failure) in failed {
            self.finish(ticket, failure.map_or_else(done, Err));
        }
        if aborted.is_empty() {
            return;
        }
        let dirs = if key.is_init() {
            self.pod.cgroup_dirs(&key.container)
        } else {
            Vec::new()
        };
        self.undo(
            dirs,
            aborted.into_iter().map(|(ticket, _)| ticket).collect(),
        );
    }

    /// It was killed and isn't gone.
    pub fn process_stuck(&mut self, key: &ProcessKey) {
        let Some(process) = self.pod.process_mut(key) else {
            return;
        };
        let state = crate::record::process_state(process.pid).unwrap_or('?');
        let cause = format!(
            "pid {} was killed {END_LIMIT:?} ago and is still in state {state}",
            process.pid
        );
        let stuck = explained(
            "end process",
            key,
            Errno::BUSY,
            cause,
            "end what it waits for",
        );
        for (ticket, failure) in std::mem::take(&mut process.ending) {
            self.finish(ticket, Err(failure.unwrap_or_else(|| stuck.clone())));
        }
    }
}
