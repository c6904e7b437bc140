//! How a stage ends: by itself, because it is told to, or not at all.

use std::time::Duration;

use rustix::io::Errno;

use super::{Phase, SLOW};
use crate::keeper::{Keeper, Timer};
use crate::problem::{done, explained};
use crate::requests::Ticket;

/// How long a killed stage may take to go.
const END_LIMIT: Duration = Duration::from_secs(2);

impl Keeper {
    /// Kills a stage. The ticket's step ends when it is gone and what it made is undone.
    pub fn end_stage(&mut self, id: u64, ticket: Option<Ticket>) {
        let Some(stage) = self.stages.get_mut(&id) else {
            return;
        };
        let first = stage.ending.is_none();
        stage.ending.get_or_insert_default().extend(ticket);
        // Not reaped yet, so the pid is its own. Once it has launched, its group may have the launched process in it.
        match stage.phase {
            Phase::Over => crate::exits::kill(stage.pid),
            _ => crate::exits::kill_group(stage.pid),
        }
        if first || ticket.is_some() {
            self.reactor.after(END_LIMIT, Timer::StageEnd(id));
        }
    }

    /// A request was replied to: the stage that it left open is of no use any more.
    pub fn end_stages_of(&mut self, seq: u64) {
        let left = self
            .stages
            .iter()
            .filter(|(_, stage)| stage.seq == seq && !matches!(stage.phase, Phase::Over));
        for id in left.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.end_stage(id, None);
        }
    }

    /// It was killed and isn't gone: it hangs in the kernel.
    pub fn stage_stuck(&mut self, id: u64) {
        let Some(stage) = self.stages.get_mut(&id) else {
            return;
        };
        let tickets = stage.ending.replace(Vec::new()).unwrap_or_default();
        if stage.stuck.is_none() {
            stage.stuck = crate::record::start_time(stage.pid);
            self.dirty = true;
        }
        // Before anybody is told: a daemon that dies then must learn it from the record or from Hello.
        self.store_record();
        let Some(stage) = self.stages.get_mut(&id) else {
            return;
        };
        let state = crate::record::process_state(stage.pid).unwrap_or('?');
        let object = format!("stage of {} (pid {})", stage.key, stage.pid);
        let cause = format!("killed {END_LIMIT:?} ago and still in state {state}");
        let remedy = "end what it waits for (a dead file server, a device); until then what it holds stays reserved";
        let failure = explained("abort", &object, Errno::BUSY, cause, remedy);
        let stuck = self
            .stages
            .values()
            .filter(|stage| stage.ending.is_some())
            .count();
        self.log.error(format_args!(
            "{} ({stuck} such stages)",
            crate::problem::text(&failure)
        ));
        for ticket in tickets {
            self.finish(ticket, Err(failure.clone()));
        }
    }

    pub fn stage_slow(&mut self, id: u64) {
        let Some(stage) = self.stages.get(&id) else {
            return;
        };
        if matches!(stage.phase, Phase::Open) || stage.since.elapsed() < SLOW {
            return self.reactor.after(SLOW, Timer::StageSlow(id));
        }
        let wchan =
            std::fs::read_to_string(format!("/proc/{}/wchan", stage.pid)).unwrap_or_default();
        let state = crate::record::process_state(stage.pid).unwrap_or('?');
        let hanging = self
            .stages
            .values()
            .filter(|stage| stage.since.elapsed() >= SLOW)
            .count();
        let (key, pid, time) = (&stage.key, stage.pid, stage.since.elapsed().as_secs());
        self.log.warning(format_args!(
            "stage of {key} (pid {pid}) has not answered for {time} s: state {state}, in {wchan} ({hanging} such stages)"
        ));
        if matches!(stage.phase, Phase::Over) {
            self.end_stage(id, None);
        }
    }

    /// A stage is gone; what it said last is read before its end counts.
    pub fn stage_ended(&mut self, id: u64, status: u32) {
        self.stage_ready(id, false);
        let Some(stage) = self.stages.remove(&id) else {
            return;
        };
        self.reactor.remove(&stage.socket);
        self.dirty |= stage.stuck.is_some();
        let how = match (status, &stage.ending) {
            (_, Some(_)) => "it was ended".to_owned(),
            (129.., None) => format!("it was killed by signal {}", status - 128),
            (_, None) => format!("it ended with status {status}"),
        };
        let object = format!("stage of {}", stage.key);
        let error = if stage.ending.is_some() {
            Errno::CANCELED
        } else {
            Errno::IO
        };
        let failure = explained("stage", object, error, how, "");
        let undo = stage.undo;
        match stage.phase {
            Phase::Opening { ticket, .. } | Phase::Hooks { ticket, .. } => {
                self.finish(ticket, Err(failure));
            }
            Phase::Launching(launch) => self.launch_failed(*launch, failure),
            Phase::Open | Phase::Over => {}
        }
        let tickets = stage.ending.unwrap_or_default();
        self.undo(undo, tickets);
        self.progress_deletion(&stage.key.container);
        self.leave_if_said();
    }

    /// Removes what a process that is gone has left of cgroups, then ends the steps that wait for that.
    pub fn undo(&mut self, dirs: Vec<String>, tickets: Vec<Ticket>) {
        let purpose = crate::worker::Purpose::Undo(tickets.clone());
        let outcome = match dirs.is_empty() {
            true => done(),
            false => match self.work(purpose, crate::cgroup::LIMIT, move || {
                crate::cgroup::kill_and_remove(&dirs)
            }) {
                Ok(()) => return,
                Err(failure) => Err(failure),
            },
        };
        for ticket in tickets {
            self.finish(ticket, outcome.clone());
        }
    }
}
