//! Forked children that do what may hang, and tell their result through a pipe. One that takes too long is killed and given
//! up; the loop never waits for one.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use wire::Message;
use wire::keeper::{StepResult, step_result};

use crate::keeper::{Child, Keeper, Timer};
use crate::problem::{Outcome, explained, failure};
use crate::reactor::{Interest, Source};
use crate::requests::Ticket;

/// What a worker's result is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    StartDaemon,
    /// A step; its result is kept or not.
    Step(Ticket, bool),
    /// What is left in a container's cgroup after its init.
    KillRest(String),
    /// Cgroups of a create that failed or was aborted; the steps that wait for it.
    Undo(Vec<Ticket>),
    /// Control/Delete of this container.
    Delete(String),
}

impl Purpose {
    /// For the trace.
    fn name(&self) -> &'static str {
        match self {
            Purpose::StartDaemon => "daemon started",
            Purpose::Step(..) => "step carried out",
            Purpose::KillRest(_) => "rest killed",
            Purpose::Undo(_) => "undone",
            Purpose::Delete(_) => "deleted",
        }
    }
}

pub struct Worker {
    pid: i32,
    purpose: Purpose,
    pipe: OwnedFd,
    result: Vec<u8>,
}

/// Longest result that is taken.
const LONGEST: usize = wire::MAX_FRAME;

impl Keeper {
    /// Runs `body` in a child.
    pub fn work<F: FnOnce() -> Outcome>(
        &mut self,
        purpose: Purpose,
        limit: Duration,
        body: F,
    ) -> Result<(), wire::keeper::Failure> {
        self.take_place();
        let failed = |error: Errno| failure("start a worker", format_args!("{purpose:?}"), error);
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
        rustix::fs::fcntl_setfl(&read, rustix::fs::OFlags::NONBLOCK).map_err(failed)?;
        let id = self.reactor.fresh_id();
        self.reactor
            .add(&read, Source::Worker, id, Interest::Read)
            .map_err(failed)?;
        let spawned = sys::children::spawn(&[write.as_raw_fd()], || {
            let result = body().unwrap_or_else(step_result::Result::Failure);
            let bytes = StepResult {
                result: Some(result),
                ..StepResult::default()
            }
            .encode_to_vec();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                match rustix::io::write(&write, rest) {
                    Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                    Err(_) => return 1,
                }
            }
            0
        });
        let pid = match spawned {
            Ok(pid) => pid,
            Err(error) => {
                self.reactor.remove(&read);
                return Err(crate::problem::failed_fork(
                    "start a worker",
                    format_args!("{purpose:?}"),
                    &error,
                ));
            }
        };
        self.children.insert(pid, Child::Worker(id));
        self.workers.insert(
            id,
            Worker {
                pid,
                purpose,
                pipe: read,
                result: Vec::new(),
            },
        );
        self.reactor.after(limit, Timer::WorkerLimit(id));
        Ok(())
    }

    /// The same for a step, whose result comes by itself.
    pub fn work_for<F: FnOnce() -> Outcome>(
        &mut self,
        ticket: Ticket,
        keep: bool,
        limit: Duration,
        body: F,
    ) {
        if let Err(failure) = self.work(Purpose::Step(ticket, keep), limit, body) {
            self.finish_with(ticket, Err(failure), keep);
        }
    }

    pub fn worker_ready(&mut self, id: u64) {
        let mut buffer = [0u8; 8192];
        loop {
            let Some(worker) = self.workers.get_mut(&id) else {
                return;
            };
            match rustix::io::read(&worker.pipe, &mut buffer) {
                Ok(0) => break,
                Ok(count) if worker.result.len() + count > LONGEST => {
                    return self.worker_failed(id, Errno::FBIG, "its result is too long");
                }
                Ok(count) => worker
                    .result
                    .extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        let result = self
            .workers
            .get(&id)
            .and_then(|worker| StepResult::decode(worker.result.as_slice()).ok());
        match result.and_then(|result| result.result) {
            Some(step_result::Result::Failure(failure)) => self.worker_done(id, Err(failure)),
            Some(result) => self.worker_done(id, Ok(result)),
            None => self.worker_failed(id, Errno::IO, "it ended without a result"),
        }
    }

    pub fn worker_over(&mut self, id: u64) {
        if let Some(worker) = self.workers.get(&id) {
            let state = crate::record::process_state(worker.pid).unwrap_or('?');
            let text = format!(
                "pid {} is in state {state} when its time is over, and is killed",
                worker.pid
            );
            self.worker_failed(id, Errno::TIMEDOUT, &text);
        }
    }

    fn worker_failed(&mut self, id: u64, error: Errno, cause: &str) {
        let Some(worker) = self.workers.get(&id) else {
            return;
        };
        let object = format!("{:?}", worker.purpose);
        // Not reaped yet, or the child is not ours any more and the map says so.
        if self.children.get(&worker.pid) == Some(&Child::Worker(id)) {
            crate::exits::kill(worker.pid);
        }
        self.log.error(format_args!("worker for {object}: {cause}"));
        self.worker_done(id, Err(explained("worker", object, error, cause, "")));
    }

    fn worker_done(&mut self, id: u64, outcome: Outcome) {
        let Some(worker) = self.workers.remove(&id) else {
            return;
        };
        self.reactor.remove(&worker.pipe);
        self.timeline
            .note("worker", format_args!("{}", worker.purpose.name()));
        match worker.purpose {
            Purpose::StartDaemon => {
                self.link.start_ended();
                if let Err(failure) = outcome {
                    self.log.error(crate::problem::text(&failure));
                }
            }
            Purpose::Step(ticket, keep) => self.finish_with(ticket, outcome, keep),
            Purpose::KillRest(container) => self.rest_killed(&container, outcome),
            Purpose::Undo(tickets) => {
                if let Err(failure) = &outcome {
                    self.log.error(crate::problem::text(failure));
                }
                for ticket in tickets {
                    self.finish(ticket, outcome.clone());
                }
            }
            Purpose::Delete(container) => self.deletion_worked(&container, outcome),
        }
    }
}
