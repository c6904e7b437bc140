//! Stage processes: forked for each create, exec and list of hooks. Each may hang; it then hangs the one request that it
//! was forked for, is named in the log, and stays known until it is gone.

mod end;
mod talk;

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use wire::keeper::{Failure, OpenStage, RunHooks, StuckStage, to_stage};

use crate::deframe::{Deframer, Plain};
use crate::keeper::{Child, Keeper, Timer};
use crate::launch::Launch;
use crate::outbox::Outbox;
use crate::pod::ProcessKey;
use crate::problem::{explained, failure};
use crate::reactor::{Interest, Source};
use crate::requests::Ticket;

/// A stage that works longer than this is named in the log.
const SLOW: Duration = Duration::from_secs(10);

/// What a stage is at.
pub enum Phase {
    /// Opens sources.
    Opening {
        ticket: Ticket,
        /// Goes with the result.
        remember: Vec<u8>,
    },
    /// Holds them, and waits for its plan.
    Open,
    /// Has its plan, or gets it once the loggers are ready.
    Launching(Box<Launch>),
    /// Runs hooks; `poststop`: those by which the container's life ends.
    Hooks { ticket: Ticket, poststop: bool },
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
    pub fn open_stage(&mut self, ticket: Ticket, mut asked: OpenStage) {
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
        let remember = std::mem::take(&mut asked.remember);
        let phase = Phase::Opening { ticket, remember };
        if let Err(failure) = self.begin_stage(key, ticket.seq, phase, asked) {
            self.finish(ticket, Err(failure));
        }
    }

    /// Forks a stage and tells it what to open.
    pub fn begin_stage(
        &mut self,
        key: ProcessKey,
        seq: u64,
        phase: Phase,
        mut asked: OpenStage,
    ) -> Result<u64, Failure> {
        if self.domain.is_none() {
            self.outside.hold(&asked.container_id, &asked.sources);
        }
        self.outside
            .rename(&asked.container_id, &mut asked.sources, self.config.pid);
        let id = self.fork_stage(key, seq, phase)?;
        self.tell_stage(id, to_stage::Message::Open(asked), Vec::new());
        Ok(id)
    }

    pub fn run_hooks(&mut self, ticket: Ticket, asked: RunHooks) {
        let key = ProcessKey::new(&asked.container_id, "");
        let container = self.pod.containers.get(&asked.container_id);
        let poststop = container.is_some_and(|it| it.ends_with(&asked.hooks));
        match self.fork_stage(key, ticket.seq, Phase::Hooks { ticket, poststop }) {
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
        let body = self.tuning.stage;
        let class = stage::Class {
            name: self.config.class_name.clone(),
            floor_dir: self.config.floor_dir.clone(),
        };
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
                class,
                template,
            })
        });
        let pid = match spawned {
            Ok(pid) => pid,
            Err(error) => {
                self.reactor.remove(&ours);
                return Err(crate::problem::failed_fork("fork a stage", &key, &error));
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
}
