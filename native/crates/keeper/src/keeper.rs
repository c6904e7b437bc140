//! The keeper's loop: who woke up, and whose business that is.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use wire::keeper::HostFacts;

use crate::client::Client;
use crate::control::Deletion;
use crate::door::Door;
use crate::late_readers::LateReaders;
use crate::link::Link;
use crate::log::Log;
use crate::logger::Logger;
use crate::oom::OomFiles;
use crate::outside::Outside;
use crate::pod::{Exit, Pod, ProcessKey};
use crate::publisher::Publisher;
use crate::pump::{Input, Output};
use crate::reactor::{Interest, Reactor, Ready, Source};
use crate::requests::Requests;
use crate::stages::Stage;
use crate::timeline::Timeline;
use crate::worker::Worker;
use crate::{KeeperArgs, Tuning, host, record};

/// After work, unused memory goes back to the kernel.
const TRIM_AFTER: Duration = Duration::from_secs(1);

/// What the keeper wants to be reminded of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timer {
    Accept,
    Drops,
    Absence(u64),
    Expiry,
    ClientSilence(u64),
    LinkRetry,
    LinkSilence(u64),
    Greeting(u64),
    PublishRetry,
    ForwardLimit(u64),
    WorkerLimit(u64),
    StageSlow(u64),
    StageEnd(u64),
    Drain(ProcessKey),
    LateReaders,
    LoggerReady(u64),
    LoggerTold(u64),
    LoggerEnd(u64),
    LoggerKill(u64),
    ProcessEnd(ProcessKey),
    Deletion(String),
    RecordRetry,
    Trim,
    Idle,
    Leave,
}

/// Whose child it is that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Child {
    Stage(u64),
    Worker(u64),
    Logger(u64),
    Process(ProcessKey),
}

/// What stays as it was at the start.
pub struct Config {
    pub socket_path: PathBuf,
    pub containerd_address: String,
    pub namespace: String,
    pub group: String,
    pub class_name: String,
    pub grpc: bool,
    pub run_dir: PathBuf,
    pub floor_dir: PathBuf,
    pub pod_dir: PathBuf,
    pub start_daemon: fn(&std::path::Path) -> std::io::Result<()>,
    pub instance: String,
    pub pid: i32,
    pub start_time: u64,
    pub born_in_own_v2: bool,
    pub wanted_cgroups: Vec<PathBuf>,
    /// Device and inode of the socket's name, so that only our own is unlinked.
    pub socket_identity: Option<(u64, u64)>,
    pub facts: HostFacts,
}

pub struct Keeper {
    pub config: Config,
    pub tuning: Tuning,
    pub reactor: Reactor<Timer>,
    pub log: Log,
    pub timeline: Timeline,
    pub listener: Option<OwnedFd>,
    signals: OwnedFd,
    pub clients: BTreeMap<u64, Client>,
    pub link: Link,
    pub door: Door,
    pub requests: Requests,
    /// For the next of the requests' deadlines.
    pub deadline_alarm: Option<crate::reactor::Alarm>,
    pub pod: Pod,
    pub children: BTreeMap<i32, Child>,
    /// Ends of processes that no stage has reported yet, by pid and start time.
    pub early_ends: BTreeMap<(i32, u64), Exit>,
    pub stages: BTreeMap<u64, Stage>,
    pub workers: BTreeMap<u64, Worker>,
    pub loggers: BTreeMap<u64, Logger>,
    pub outputs: BTreeMap<u64, Output>,
    pub inputs: BTreeMap<u64, Input>,
    pub late_readers: LateReaders,
    /// Streams that were closed before all of their output had been passed on.
    pub lost_outputs: u64,
    pub drops_told: crate::drops::Told,
    /// Pumps that stopped for the others' sake, not for want of bytes.
    pub busy: Vec<(Source, u64)>,
    pub oom_files: Option<OomFiles>,
    pub publisher: Publisher,
    pub deletions: BTreeMap<String, Deletion>,
    /// What all stages start from.
    pub template: Option<stage::Template>,
    pub template_making: Option<stage::Making>,
    /// The keeper has left the cgroups it was started in.
    pub placed: bool,
    /// What the first container names by processes that the pod can't look into.
    pub outside: Outside,
    /// What the pod's Landlock domain refuses, once it has been taken or found not to be had.
    pub domain: Option<wire::keeper::LandlockProbe>,
    /// The record on disk is not what the keeper knows.
    pub dirty: bool,
    pub record_failed: bool,
    trim_wanted: bool,
    /// Since the trimming was set up.
    worked_again: bool,
    pub quiet_since: Option<Instant>,
    pub leaving: bool,
    /// The daemon has said that an empty pod's keeper may end, and something was still under way.
    pub shutdown_said: bool,
    pub left: bool,
}

/// Sets the process up and runs it to its end; the exit status.
pub fn main(args: KeeperArgs, tuning: Tuning) -> i32 {
    let log = Log::new(args.bundle.join("log"), &args.group);
    let socket_path = args.socket_path.clone();
    match Keeper::new(args, tuning, log) {
        Ok(mut keeper) => {
            keeper.run();
            0
        }
        Err(mut failed) => {
            // Nobody will ever serve it.
            let _ = std::fs::remove_file(socket_path);
            failed.0.error(format_args!(
                "start the keeper: {}; no container can be made here",
                failed.1
            ));
            1
        }
    }
}

impl Keeper {
    fn new(
        args: KeeperArgs,
        tuning: Tuning,
        log: Log,
    ) -> Result<Keeper, Box<(Log, std::io::Error)>> {
        let prepared = host::prepare(&args.listener, &args.birth)
            .and_then(|(signals, facts)| Ok((signals, facts, Reactor::new()?)))
            .and_then(|(signals, facts, reactor)| {
                reactor.add(&args.listener, Source::Listener, 0, Interest::Read)?;
                reactor.add(&signals, Source::Signals, 0, Interest::Read)?;
                Ok((signals, facts, reactor))
            });
        let (signals, facts, reactor) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return Err(Box::new((log, error))),
        };
        let pid = i32::try_from(std::process::id()).unwrap_or(0);
        let key = record::pod_key(&args.containerd_address, &args.namespace, &args.group);
        let config = Config {
            socket_identity: identity(&args.socket_path),
            socket_path: args.socket_path,
            containerd_address: args.containerd_address,
            namespace: args.namespace,
            group: args.group,
            class_name: args.class_name,
            grpc: args.grpc,
            pod_dir: record::pod_dir(&args.run_dir, &key),
            run_dir: args.run_dir,
            floor_dir: args.floor_dir,
            start_daemon: args.start_daemon,
            instance: host::random_name(),
            pid,
            start_time: record::start_time(pid).unwrap_or(0),
            born_in_own_v2: args.birth.in_own_v2,
            wanted_cgroups: args.cgroups,
            facts,
        };
        // Not before: the preparation closes all descriptors that it doesn't know.
        let mut timeline = Timeline::open(&config.run_dir);
        timeline.note("keeper", format_args!("knows its host"));
        let publisher = Publisher::new(args.events_address, &config.namespace);
        Ok(Keeper {
            config,
            tuning,
            reactor,
            log,
            timeline,
            listener: Some(args.listener),
            signals,
            clients: BTreeMap::new(),
            link: Link::new(),
            door: Door::default(),
            requests: Requests::default(),
            deadline_alarm: None,
            pod: Pod::default(),
            children: BTreeMap::new(),
            early_ends: BTreeMap::new(),
            stages: BTreeMap::new(),
            workers: BTreeMap::new(),
            loggers: BTreeMap::new(),
            outputs: BTreeMap::new(),
            inputs: BTreeMap::new(),
            late_readers: LateReaders::default(),
            lost_outputs: 0,
            drops_told: crate::drops::Told::default(),
            busy: Vec::new(),
            oom_files: None,
            publisher,
            deletions: BTreeMap::new(),
            template: None,
            template_making: None,
            placed: false,
            outside: Outside::default(),
            domain: None,
            dirty: false,
            record_failed: false,
            trim_wanted: false,
            worked_again: false,
            quiet_since: None,
            leaving: false,
            shutdown_said: false,
            left: false,
        })
    }

    fn run(&mut self) {
        self.connect_daemon();
        self.begin_template();
        self.timeline.note("keeper", format_args!("serves"));
        while !self.left {
            // What can wait is done when nothing else is to do: at best while brigd is at work on the first Create.
            let at_once = !self.busy.is_empty() || !self.placed;
            let ready = match self.reactor.wait(at_once, None) {
                Ok(ready) => ready,
                Err(error) => {
                    self.log.error(format_args!("wait for events: {error}"));
                    return;
                }
            };
            if ready.is_empty() {
                self.take_place();
            }
            for one in ready {
                self.ready(one);
            }
            while let Some(timer) = self.reactor.due() {
                self.timer(timer);
            }
            for (source, id) in std::mem::take(&mut self.busy) {
                self.ready(Ready {
                    source,
                    id,
                    writable: false,
                });
            }
            self.look_around();
        }
    }

    fn ready(&mut self, ready: Ready) {
        let Ready {
            source,
            id,
            writable,
        } = ready;
        match source {
            Source::Listener => self.accept(),
            Source::Signals => self.signalled(),
            Source::Client => self.client_ready(id, writable),
            Source::Daemon => self.link_ready(id, writable),
            Source::Containerd => self.publisher_ready(id, writable),
            Source::Stage => self.stage_ready(id, writable),
            Source::Barrier => self.barrier_ready(id),
            Source::Worker => self.worker_ready(id),
            Source::Output => self.run_output(id),
            Source::Input => self.run_input(id),
            Source::LoggerReady => self.logger_ready(id),
            Source::OomEvent => self.oom_event(id),
            Source::OomFiles => self.oom_files_changed(),
        }
    }

    fn timer(&mut self, timer: Timer) {
        match timer {
            Timer::Drops => self.tell_drops(),
            Timer::Accept => self.accept_again(),
            Timer::Absence(seq) => self.answer_in_absence(seq),
            Timer::Expiry => self.expire(),
            Timer::ClientSilence(id) => self.client_silent(id),
            Timer::LinkRetry => self.connect_daemon(),
            Timer::LinkSilence(number) => self.link_silent(number),
            Timer::Greeting(number) => self.greeting_over(number),
            Timer::PublishRetry => self.publish_again(),
            Timer::ForwardLimit(number) => self.forward_over(number),
            Timer::WorkerLimit(id) => self.worker_over(id),
            Timer::StageSlow(id) => self.stage_slow(id),
            Timer::StageEnd(id) => self.stage_stuck(id),
            Timer::Drain(key) => self.drain_over(&key),
            Timer::LateReaders => self.look_for_readers(),
            Timer::LoggerReady(id) => self.logger_not_ready(id),
            Timer::LoggerTold(id) => self.logger_told(id),
            Timer::LoggerEnd(id) => self.end_logger(id),
            Timer::LoggerKill(id) => self.kill_logger(id),
            Timer::ProcessEnd(key) => self.process_stuck(&key),
            Timer::Deletion(container) => self.deletion_over(&container),
            Timer::RecordRetry => {
                self.record_failed = false;
                self.store_record();
            }
            Timer::Trim => {
                self.trim_wanted = false;
                sys::heap::give_back();
                // What was still in use may have been freed by now or soon.
                if std::mem::take(&mut self.worked_again) {
                    self.worked();
                }
            }
            Timer::Idle => self.idle_over(),
            Timer::Leave => self.left = true,
        }
    }

    /// Work was done: the heap is tidied up a little later.
    pub fn worked(&mut self) {
        if self.trim_wanted {
            self.worked_again = true;
        } else {
            self.trim_wanted = true;
            self.reactor.after(TRIM_AFTER, Timer::Trim);
        }
    }

    fn signalled(&mut self) {
        while let Some(signal) = sys::children::next_signal(self.signals.as_fd()) {
            if signal == libc::SIGTERM {
                if self.has_work() || !self.clients.is_empty() {
                    self.log
                        .warning("SIGTERM ignored: the pod lives; end it through containerd");
                } else {
                    self.leave();
                }
            }
        }
        self.reap();
    }
}

pub fn identity(path: &std::path::Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path)
        .ok()
        .map(|data| (data.dev(), data.ino()))
}
