//! Stage processes: forked for each create, exec and list of hooks. Each may hang; it then hangs the one request that it
//! was forked for, is named in the log, and stays known until it is gone.

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recvmsg, socketpair,
};
use wire::Message;
use wire::keeper::{
    Failure, FromStage, OpenStage, RunHooks, StuckStage, ToStage, from_stage, step_result, to_stage,
};

use crate::deframe::{Deframer, Piece, Plain, plain_frame};
use crate::keeper::{Child, Keeper, Timer};
use crate::launch::Launch;
use crate::outbox::Outbox;
use crate::pod::ProcessKey;
use crate::problem::{done, explained, failure};
use crate::reactor::{Interest, Source};
use crate::requests::Ticket;

/// A stage that works longer than this is named in the log.
const SLOW: Duration = Duration::from_secs(10);
/// How long a killed stage may take to go.
const END_LIMIT: Duration = Duration::from_secs(2);
/// Descriptors that a stage may hand over.
const MOST_DESCRIPTORS: usize = 8;

/// What a stage is at.
pub enum Phase {
    /// Opens sources.
    Opening(Ticket),
    /// Holds them, and waits for its plan.
    Open,
    /// Has its plan, or gets it once the loggers are ready.
    Launching(Box<Launch>),
    Hooks(Ticket),
    /// Has nothing more to do than to end.
    Over,
}

pub struct Stage {
    pub pid: i32,
    pub key: ProcessKey,
    /// The request that it was forked for.
    pub seq: u64,
    pub phase: Phase,
    socket: OwnedFd,
    deframer: Deframer<Plain>,
    outbox: Outbox,
    descriptors: VecDeque<OwnedFd>,
    writing: bool,
    since: Instant,
    /// It is being killed: the steps that wait for its end.
    ending: Option<Vec<Ticket>>,
    /// It was killed and did not go: its start time, by which others know it.
    stuck: Option<u64>,
    /// Cgroup directories to remove once it is gone, since it can't undo them itself.
    pub undo: Vec<String>,
}

impl Stage {
    /// Whether it makes a process of this container.
    pub fn is_of(&self, container: &str) -> bool {
        self.key.container == container
    }

    pub fn is_launching(&self) -> bool {
        matches!(self.phase, Phase::Launching(_))
    }

    /// What others must know of it, if it hangs in the kernel.
    pub fn if_stuck(&self) -> Option<StuckStage> {
        self.stuck.map(|start_time| StuckStage {
            container_id: self.key.container.clone(),
            exec_id: self.key.exec.clone(),
            pid: self.pid,
            start_time,
        })
    }
}

impl Keeper {
    pub fn open_stage(&mut self, ticket: Ticket, asked: OpenStage) {
        let key = ProcessKey::new(&asked.container_id, &asked.exec_id);
        if let Some(stage) = self
            .stages
            .values()
            .find(|stage| stage.key == key && !matches!(stage.phase, Phase::Over))
        {
            let cause = format!("there is one already (pid {})", stage.pid);
            let failure = explained("open stage", &key, Errno::EXIST, cause, "abort it first");
            return self.finish(ticket, Err(failure));
        }
        let mut asked = asked;
        if self.domain.is_none() {
            self.outside.hold(&asked.container_id, &asked.sources);
        }
        self.outside
            .rename(&asked.container_id, &mut asked.sources, self.config.pid);
        match self.fork_stage(key, ticket.seq, Phase::Opening(ticket)) {
            Ok(id) => {
                self.tell_stage(id, to_stage::Message::Open(asked), Vec::new());
            }
            Err(failure) => self.finish(ticket, Err(failure)),
        }
    }

    pub fn run_hooks(&mut self, ticket: Ticket, asked: RunHooks) {
        let key = ProcessKey::new(&asked.container_id, "");
        match self.fork_stage(key, ticket.seq, Phase::Hooks(ticket)) {
            Ok(id) => self.tell_stage(id, to_stage::Message::RunHooks(asked), Vec::new()),
            Err(failure) => self.finish(ticket, Err(failure)),
        }
    }

    fn fork_stage(&mut self, key: ProcessKey, seq: u64, phase: Phase) -> Result<u64, Failure> {
        self.take_place();
        self.take_domain();
        let failed = |error: Errno| failure("fork a stage", &key, error);
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(failed)?;
        rustix::fs::fcntl_setfl(&ours, rustix::fs::OFlags::NONBLOCK).map_err(failed)?;
        let id = self.reactor.fresh_id();
        self.reactor
            .add(&ours, Source::Stage, id, Interest::Read)
            .map_err(failed)?;
        let template = self.stage_template();
        let (body, floor_dir) = (self.tuning.stage, self.config.floor_dir.clone());
        let mut kept = vec![theirs.as_raw_fd()];
        if let Some(template) = &template {
            kept.push(template.mount_namespace.as_raw_fd());
            kept.push(template.probe_user_namespace.as_raw_fd());
        }
        let spawned = sys::children::spawn(&kept, move || {
            // A group of its own, so that helpers of a stage that hangs are killed with it.
            let _ = rustix::process::setpgid(None, None);
            body(stage::StageArgs {
                control: theirs,
                floor_dir,
                template,
            })
        });
        let pid = match spawned {
            Ok(pid) => pid,
            Err(error) => {
                self.reactor.remove(&ours);
                return Err(crate::problem::failed_io("fork a stage", &key, &error));
            }
        };
        self.timeline.note("keeper", format_args!("stage forked"));
        self.children.insert(pid, Child::Stage(id));
        let stage = Stage {
            pid,
            key,
            seq,
            phase,
            socket: ours,
            deframer: Deframer::default(),
            outbox: Outbox::default(),
            descriptors: VecDeque::new(),
            writing: false,
            since: Instant::now(),
            ending: None,
            stuck: None,
            undo: Vec::new(),
        };
        self.stages.insert(id, stage);
        self.reactor.after(SLOW, Timer::StageSlow(id));
        Ok(id)
    }

    pub fn begin_template(&mut self) {
        match (self.tuning.template)() {
            Ok(making) => self.template_making = making,
            Err(error) => self.log.error(error),
        }
    }

    /// A copy of the pod's template, made when it is first needed. Without one a stage makes its own, or says why it can't.
    pub fn stage_template(&mut self) -> Option<stage::Template> {
        if self.template.is_none() {
            if self.template_making.is_none() {
                self.begin_template();
            }
            // Dropped then, which ends the process that made it.
            if let Some(mut making) = self.template_making.take() {
                match making.finish() {
                    Ok(template) => self.template = Some(template),
                    Err(error) => self.log.error(error.to_string()),
                }
            }
        }
        let template = self.template.as_ref()?;
        Some(stage::Template {
            mount_namespace: template.mount_namespace.try_clone().ok()?,
            probe_user_namespace: template.probe_user_namespace.try_clone().ok()?,
            order: template.order,
        })
    }

    /// Sends the stage a message; the descriptors ride on it.
    pub fn tell_stage(&mut self, id: u64, message: to_stage::Message, descriptors: Vec<OwnedFd>) {
        let Some(stage) = self.stages.get_mut(&id) else {
            return;
        };
        stage.since = Instant::now();
        stage.outbox.push_with(
            plain_frame(&ToStage {
                message: Some(message),
            }),
            descriptors,
        );
        self.flush_stage(id);
    }

    fn flush_stage(&mut self, id: u64) {
        let Some(stage) = self.stages.get_mut(&id) else {
            return;
        };
        if stage.outbox.flush(stage.socket.as_fd()).is_err() {
            // It is ending; its end says why.
            stage.outbox = Outbox::default();
        }
        let writing = !stage.outbox.is_empty();
        if writing != stage.writing {
            stage.writing = writing;
            let interest = if writing {
                Interest::ReadWrite
            } else {
                Interest::Read
            };
            let _ = self
                .reactor
                .change(&stage.socket, Source::Stage, id, interest);
        }
    }

    pub fn stage_ready(&mut self, id: u64, writable: bool) {
        if writable {
            self.flush_stage(id);
        }
        let mut buffer = [0u8; 8192];
        loop {
            let Some(stage) = self.stages.get_mut(&id) else {
                return;
            };
            let count = match receive(&stage.socket, &mut buffer, &mut stage.descriptors) {
                Ok(Some(count)) => count,
                Ok(None) => return,
                Err(_) => {
                    // No more words; its end, which is about to be told, decides what becomes of its steps.
                    self.reactor.remove(&stage.socket);
                    return;
                }
            };
            let mut input = &buffer[..count];
            while let Some(stage) = self.stages.get_mut(&id) {
                let Some(piece) = stage.deframer.next(&mut input) else {
                    break;
                };
                let message = match piece {
                    Piece::Frame(_, payload) => FromStage::decode(&payload[..]).ok(),
                    Piece::TooLong(..) => None,
                };
                match message {
                    Some(message) => self.told_by_stage(id, message),
                    None => {
                        self.log.error(format_args!(
                            "stage {}: it does not speak the protocol and is killed",
                            stage.pid
                        ));
                        return self.end_stage(id, None);
                    }
                }
            }
        }
    }

    fn told_by_stage(&mut self, id: u64, told: FromStage) {
        let Some(stage) = self.stages.get_mut(&id) else {
            return;
        };
        if stage.ending.is_some() {
            return;
        }
        let mut descriptors = Vec::new();
        for role in &told.fds {
            match (
                from_stage::FdRole::try_from(*role),
                stage.descriptors.pop_front(),
            ) {
                (Ok(role), Some(descriptor)) => descriptors.push((role, descriptor)),
                _ => {
                    self.log.error(format_args!(
                        "stage {}: a descriptor is missing; it is killed",
                        stage.pid
                    ));
                    return self.end_stage(id, None);
                }
            }
        }
        let phase = std::mem::replace(&mut stage.phase, Phase::Over);
        self.timeline.note("stage", format_args!("answers"));
        match (phase, told.message) {
            (Phase::Opening(ticket), Some(from_stage::Message::Opened(opened))) => {
                stage.phase = Phase::Open;
                self.finish(ticket, Ok(step_result::Result::StageOpened(opened)));
            }
            (Phase::Opening(ticket), Some(from_stage::Message::Failure(failure))) => {
                self.finish(ticket, Err(failure))
            }
            (Phase::Hooks(ticket), Some(from_stage::Message::Done(_))) => {
                self.finish(ticket, done())
            }
            (Phase::Hooks(ticket), Some(from_stage::Message::Failure(failure))) => {
                self.finish(ticket, Err(failure))
            }
            (Phase::Launching(launch), Some(from_stage::Message::Executed(executed))) => {
                for timing in &executed.timings {
                    let (step, micros) = (&timing.step, timing.micros);
                    self.timeline
                        .note("stage", format_args!("took {micros} us: {step}"));
                }
                self.executed(*launch, executed, descriptors);
            }
            (Phase::Launching(launch), Some(from_stage::Message::Failure(failure))) => {
                self.launch_failed(*launch, failure);
            }
            (phase, _) => {
                stage.phase = phase;
                self.log.error(format_args!(
                    "stage {}: an answer to nothing; it is killed",
                    stage.pid
                ));
                self.end_stage(id, None);
            }
        }
    }

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
        let mut undo = stage.undo;
        match stage.phase {
            Phase::Opening(ticket) | Phase::Hooks(ticket) => self.finish(ticket, Err(failure)),
            Phase::Launching(launch) => self.launch_failed(*launch, failure),
            Phase::Open => {}
            Phase::Over => undo.clear(),
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

/// Reads once, with the descriptors that came along; those beyond the bound are closed.
fn receive(
    socket: &OwnedFd,
    buffer: &mut [u8],
    descriptors: &mut VecDeque<OwnedFd>,
) -> Result<Option<usize>, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(
        socket,
        &mut [std::io::IoSliceMut::new(buffer)],
        &mut ancillary,
        flags,
    );
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = message {
            for descriptor in came {
                if descriptors.len() < MOST_DESCRIPTORS {
                    descriptors.push_back(descriptor);
                }
            }
        }
    }
    match received {
        Ok(message) if message.bytes == 0 => Err(Errno::PIPE),
        Ok(message) => Ok(Some(message.bytes)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error),
    }
}
