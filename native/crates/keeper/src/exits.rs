//! Ends of children: collected one by one, told in order. A process's exit is told after its output has been passed on, an
//! init's after the exits of its container's execs, and an OOM kill before the exit it caused.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::keeper::{Child, Keeper};
use crate::pod::{Container, Exit, Process, ProcessKey, Told};
use crate::problem::Outcome;
use crate::requests::Notice;
use crate::worker::Purpose;

/// Ends that are kept until a stage reports whose they are.
const MOST_EARLY: usize = 256;
/// Margin over the time that killing takes.
const KILL_MARGIN: Duration = Duration::from_secs(2);

impl Keeper {
    /// Collects every child that has ended: our own by their kind, orphans of the pod just so.
    pub fn reap(&mut self) {
        while let Some(ended) = sys::children::peek() {
            let child = self.children.remove(&ended.pid);
            let exit = Exit::now(ended.status);
            if child.is_none() && self.stages.values().any(crate::stages::Stage::is_launching) {
                // It may be the very process that a stage is about to report. Unreaped, its start can still be read.
                let start = crate::record::start_time(ended.pid).unwrap_or(0);
                if self.early_ends.len() < MOST_EARLY {
                    self.early_ends.insert((ended.pid, start), exit);
                }
            }
            if let Some(Child::Process(key)) = &child {
                self.read_after_exec(key);
            }
            if sys::children::reap(ended.pid).is_none() {
                return;
            }
            match child {
                Some(Child::Process(key)) => self.process_ended(&key, exit),
                Some(Child::Stage(id)) => self.stage_ended(id, ended.status),
                Some(Child::Logger(id)) => self.logger_ended(id, ended.status),
                // The end of its pipe tells.
                Some(Child::Worker(_)) | None => {}
            }
        }
        if !self.early_ends.is_empty()
            && !self.stages.values().any(crate::stages::Stage::is_launching)
        {
            self.early_ends.clear();
        }
    }

    /// A process of the pod has ended.
    pub fn process_ended(&mut self, key: &ProcessKey, exit: Exit) {
        let Some(process) = self.pod.process_mut(key) else {
            return;
        };
        process.exit = Some(exit);
        process.agreed = false;
        let kind = if key.is_init() { "init" } else { "exec" };
        self.timeline.note("process", format_args!("{kind} ended"));
        process.pidfd = None;
        process.held = Vec::new();
        self.dirty = true;
        self.read_barrier(key, true);
        self.drain_io(key);
        let Some(container) = self.pod.containers.get_mut(&key.container) else {
            return;
        };
        let kills = container
            .care
            .as_ref()
            .is_some_and(|care| care.kill_all_on_exit);
        if key.is_init() && kills && !container.killing_rest {
            container.killing_rest = true;
            let dirs = self.pod.cgroup_dirs(&key.container);
            let limit = crate::cgroup::KILL_LIMIT;
            let kill =
                move || crate::cgroup::kill_all(&dirs, limit).and_then(|()| crate::problem::done());
            if let Err(failure) = self.work(
                Purpose::KillRest(key.container.clone()),
                limit + KILL_MARGIN,
                kill,
            ) {
                self.rest_killed(&key.container, Err(failure));
            }
        }
        if self
            .pod
            .process(key)
            .is_some_and(|process| !process.ending.is_empty())
        {
            self.end_of_ending(key);
        }
        self.settle(&key.container);
    }

    /// The rest of a container's cgroup is gone, or would not go.
    pub fn rest_killed(&mut self, id: &str, outcome: Outcome) {
        if let Err(failure) = outcome {
            self.log.error(crate::problem::text(&failure));
        }
        if let Some(container) = self.pod.containers.get_mut(id) {
            container.killing_rest = false;
            self.settle(id);
        }
    }

    /// Tells every exit of the container that may be told now.
    pub fn settle(&mut self, id: &str) {
        while let Some(exec) = self
            .pod
            .containers
            .get(id)
            .and_then(|container| self.next_to_tell(container))
        {
            let key = ProcessKey::new(id, &exec);
            self.look_for_oom(id);
            if let Some(process) = self.pod.process_mut(&key) {
                process.told = Told::Asked;
            }
            self.dirty = true;
            self.notify(Notice::Exited(key.clone()));
            self.wake_waits(&key);
        }
        self.progress_deletion(id);
    }

    fn next_to_tell(&self, container: &Container) -> Option<String> {
        let untold = |process: &Process| process.pid != 0 && process.told == Told::No;
        let execs_left = container
            .processes
            .iter()
            .any(|(exec, process)| !exec.is_empty() && untold(process));
        let may_be_told = |exec: &str, process: &Process| {
            let waits_for_others = exec.is_empty() && (container.killing_rest || execs_left);
            untold(process)
                && process.exit.is_some()
                && !waits_for_others
                && self.is_drained(&process.io)
        };
        let ready = container
            .processes
            .iter()
            .find(|(exec, process)| may_be_told(exec, process));
        ready.map(|(exec, _)| exec.clone())
    }
}

/// Kills a child that has not been reaped.
pub fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Kills a child that has not been reaped, and all of the group that it leads.
pub fn kill_group(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    kill(pid);
}
