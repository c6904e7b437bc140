//! Programs that take a process's output: a client's `binary://`, and our own for `file://`, which may lie on a file system
//! that hangs. They read the process's pipes themselves; a launch waits until they are ready.
//!
//! Descriptors: 3 stdout, 4 stderr, 5 the ready pipe (one byte or its closing: ready).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use wire::keeper::Failure;

use crate::keeper::{Child, Keeper, Timer};
use crate::pod::ProcessKey;
use crate::problem::{explained, failed_fork, failure};
use crate::reactor::{Interest, Source};
use crate::stages::Phase;
use crate::stdio::Prepared;

/// A logger's time to become ready.
const READY_LIMIT: Duration = Duration::from_secs(10);
/// How long an exit waits for a logger that is not ours to end by itself.
const TOLD_LIMIT: Duration = Duration::from_secs(2);
/// From TERM to KILL, as containerd's shim has it.
const KILL_LIMIT: Duration = Duration::from_secs(12);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    Binary {
        path: PathBuf,
        args: Vec<OsString>,
        strict: bool,
    },
    /// Appended to; made, with its directories, if so said.
    File { path: PathBuf, make: bool },
}

pub struct LoggerSpec {
    pub program: Program,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
    pub container_id: String,
    pub namespace: String,
}

pub struct Logger {
    pid: i32,
    owner: ProcessKey,
    /// The stage whose launch waits for it.
    stage: u64,
    program: Program,
    /// The ready pipe, and the one that says why it did not start; until it is ready.
    ready: Option<(OwnedFd, OwnedFd)>,
    terminated: bool,
}

impl Keeper {
    /// Starts what the launch needs; the loggers that it has to wait for.
    pub fn start_loggers(
        &mut self,
        io: &mut Prepared,
        owner: &ProcessKey,
        stage: u64,
    ) -> Result<BTreeSet<u64>, Failure> {
        for spec in std::mem::take(&mut io.specs) {
            match self.start_logger(spec, owner, stage) {
                Ok(id) => io.loggers.push(id),
                Err(failure) => {
                    for id in std::mem::take(&mut io.loggers) {
                        self.end_logger(id);
                    }
                    return Err(failure);
                }
            }
        }
        Ok(io.loggers.iter().copied().collect())
    }

    fn start_logger(
        &mut self,
        spec: LoggerSpec,
        owner: &ProcessKey,
        stage: u64,
    ) -> Result<u64, Failure> {
        let failed = |error: Errno| failure("start a logger", name(&spec.program), error);
        let (ready, ready_inside) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
        let (status, status_inside) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
        for ours in [&ready, &status] {
            rustix::fs::fcntl_setfl(ours, rustix::fs::OFlags::NONBLOCK).map_err(failed)?;
        }
        let id = self.reactor.fresh_id();
        self.reactor
            .add(&ready, Source::LoggerReady, id, Interest::Read)
            .map_err(failed)?;
        let streams = [&spec.stdout, &spec.stderr];
        let kept = streams
            .into_iter()
            .flatten()
            .chain([&ready_inside, &status_inside])
            .map(AsRawFd::as_raw_fd);
        let program = spec.program.clone();
        let spawned = sys::children::spawn(&kept.collect::<Vec<_>>(), move || {
            // Out of the way of the numbers that the logger's descriptors get.
            let Ok(status) = rustix::io::fcntl_dupfd_cloexec(&status_inside, 10) else {
                return 1;
            };
            match become_logger(spec, &ready_inside) {
                Ok(()) => 0,
                Err(error) => {
                    let _ = rustix::io::write(&status, error.to_string().as_bytes());
                    1
                }
            }
        });
        let pid = match spawned {
            Ok(pid) => pid,
            Err(error) => {
                self.reactor.remove(&ready);
                return Err(failed_fork("start a logger", name(&program), &error));
            }
        };
        let ready = Some((ready, status));
        self.children.insert(pid, Child::Logger(id));
        let logger = Logger {
            pid,
            owner: owner.clone(),
            stage,
            program,
            ready,
            terminated: false,
        };
        self.loggers.insert(id, logger);
        self.reactor.after(READY_LIMIT, Timer::LoggerReady(id));
        Ok(id)
    }

    /// It is ready, or it failed to become so.
    pub fn logger_ready(&mut self, id: u64) {
        let Some(logger) = self.loggers.get_mut(&id) else {
            return;
        };
        let Some((ready, status)) = logger.ready.take() else {
            return;
        };
        self.reactor.remove(&ready);
        let mut buffer = [0u8; 1024];
        let signs = rustix::io::read(&ready, &mut buffer[..1]).unwrap_or(0);
        let told = rustix::io::read(&status, &mut buffer).unwrap_or(0);
        let told = String::from_utf8_lossy(buffer.get(..told).unwrap_or_default()).into_owned();
        let strict = matches!(logger.program, Program::Binary { strict: true, .. });
        let cause = match (told.is_empty(), signs) {
            (false, _) => told,
            (true, 0) if strict => "it ended its ready pipe without a byte".to_owned(),
            _ => return self.logger_awaited(id),
        };
        let failure = explained(
            "start a logger",
            name(&logger.program),
            Errno::IO,
            cause,
            "",
        );
        let stage = logger.stage;
        self.give_up_launch(stage, failure);
    }

    fn logger_awaited(&mut self, id: u64) {
        let Some(logger) = self.loggers.get(&id) else {
            return;
        };
        let stage = logger.stage;
        if let Some(Phase::Launching(launch)) =
            self.stages.get_mut(&stage).map(|stage| &mut stage.phase)
        {
            launch.awaited.remove(&id);
            self.hand_over_plan(stage);
        }
    }

    pub fn logger_not_ready(&mut self, id: u64) {
        let Some(logger) = self
            .loggers
            .get(&id)
            .filter(|logger| logger.ready.is_some())
        else {
            return;
        };
        let cause =
            format!("not ready after {READY_LIMIT:?} (one byte, or the end, on descriptor 5)");
        let failure = explained(
            "start a logger",
            name(&logger.program),
            Errno::TIMEDOUT,
            cause,
            "",
        );
        let stage = logger.stage;
        self.give_up_launch(stage, failure);
    }

    /// The process that it serves has ended: it sees the end of its input, and has a limited time from here.
    pub fn process_of_logger_ended(&mut self, id: u64) {
        let Some(logger) = self.loggers.get(&id) else {
            return;
        };
        // Our own ends with its input, so the exit can wait for the last byte; of others nobody knows.
        if matches!(logger.program, Program::Binary { .. }) {
            self.reactor
                .after(TOLD_LIMIT.min(self.tuning.drain), Timer::LoggerTold(id));
        }
        self.reactor.after(self.tuning.drain, Timer::LoggerEnd(id));
    }

    /// The exit of its process waits for it no longer.
    pub fn logger_told(&mut self, id: u64) {
        let Some(owner) = self.loggers.get(&id).map(|logger| logger.owner.clone()) else {
            return;
        };
        self.leave_logger(&owner, id);
    }

    fn leave_logger(&mut self, owner: &ProcessKey, id: u64) {
        if let Some(process) = self.pod.process_mut(owner) {
            process.io.loggers.retain(|other| *other != id);
            self.settle(&owner.container);
        }
    }

    /// Asks a logger to end; it is killed if it doesn't.
    pub fn end_logger(&mut self, id: u64) {
        let Some(logger) = self.loggers.get_mut(&id) else {
            return;
        };
        if !logger.terminated {
            logger.terminated = true;
            if let Some(pid) = rustix::process::Pid::from_raw(logger.pid) {
                // Not reaped, or it would not be in the map.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
            self.reactor.after(KILL_LIMIT, Timer::LoggerKill(id));
        }
        self.logger_told(id);
    }

    pub fn kill_logger(&mut self, id: u64) {
        if let Some(logger) = self.loggers.get(&id) {
            let (pid, program) = (logger.pid, name(&logger.program));
            self.log.warning(format_args!(
                "logger {program} (pid {pid}) does not end and is killed"
            ));
            crate::exits::kill(pid);
        }
    }

    pub fn logger_ended(&mut self, id: u64, status: u32) {
        self.logger_ready(id);
        let Some(logger) = self.loggers.remove(&id) else {
            return;
        };
        if status != 0 && !logger.terminated {
            self.log.warning(format_args!(
                "{}: logger {} ended with {status}",
                logger.owner,
                name(&logger.program)
            ));
        }
        self.leave_logger(&logger.owner, id);
    }
}

fn name(program: &Program) -> String {
    match program {
        Program::Binary { path, .. } | Program::File { path, .. } => path.display().to_string(),
    }
}

/// In the child: does the logger's work, or becomes the program that does it.
fn become_logger(spec: LoggerSpec, ready: &OwnedFd) -> std::io::Result<()> {
    match spec.program {
        Program::File { path, make } => {
            let file = open_file(&path, make)?;
            rustix::io::write(ready, b"r")?;
            append(
                &file,
                [spec.stdout, spec.stderr].into_iter().flatten().collect(),
            );
            Ok(())
        }
        Program::Binary { path, args, .. } => {
            let null = || fs::File::open("/dev/null").map(OwnedFd::from);
            let stdout = spec.stdout.map_or_else(null, Ok)?;
            let stderr = spec.stderr.map_or_else(null, Ok)?;
            sys::children::place(&[(&stdout, 3), (&stderr, 4), (ready, 5)])?;
            let mut command = std::process::Command::new(&path);
            command
                .args(args)
                .env_clear()
                .env("CONTAINER_ID", spec.container_id);
            command.env("CONTAINER_NAMESPACE", spec.namespace);
            Err(command.exec())
        }
    }
}

fn open_file(path: &Path, make: bool) -> std::io::Result<fs::File> {
    if let (true, Some(parent)) = (make, path.parent()) {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)?;
    }
    fs::OpenOptions::new()
        .append(true)
        .create(make)
        .mode(0o644)
        .open(path)
}

/// Until all streams have ended. What can't be written is lost; the process must not stop for that.
fn append(mut file: &fs::File, mut streams: Vec<OwnedFd>) {
    let mut buffer = [0u8; 16 << 10];
    while !streams.is_empty() {
        let mut polled: Vec<PollFd<'_>> = streams
            .iter()
            .map(|stream| PollFd::new(stream, PollFlags::IN))
            .collect();
        if poll(&mut polled, None).is_err() {
            continue;
        }
        let ready: Vec<bool> = polled.iter().map(|one| !one.revents().is_empty()).collect();
        let mut ready = ready.into_iter();
        streams.retain(|stream| {
            if !ready.next().unwrap_or(false) {
                return true;
            }
            match rustix::io::read(stream, &mut buffer) {
                Ok(0) => false,
                Ok(count) => {
                    let _ = file.write_all(buffer.get(..count).unwrap_or_default());
                    true
                }
                Err(error) => error == Errno::INTR,
            }
        });
    }
}
