//! A process's stdin, stdout and stderr: made before its launch, passed on while it lives, and drained after its end.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FileType, Gid, Mode, OFlags, Uid, fchown, fcntl_setfl, fstat, open};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use wire::keeper::stage_execute::FdRole;
use wire::keeper::{Failure, Stdio};

use crate::keeper::{Keeper, Timer};
use crate::logger::{LoggerSpec, Program};
use crate::pod::ProcessKey;
use crate::problem::{explained, failure};
use crate::pump::{Input, Output, Progress, Sink};
use crate::reactor::{Interest, Source};
use crate::target::Target;

/// What is held of a running process's stdio.
#[derive(Default)]
pub struct Io {
    pub outputs: Vec<u64>,
    pub input: Option<u64>,
    /// Loggers whose end, or whose time, the exit waits for.
    pub loggers: Vec<u64>,
    pub master: Option<OwnedFd>,
}

/// Stdio of a process in the making.
#[derive(Default)]
pub struct Prepared {
    /// What the process gets; nothing where a terminal comes from the stage.
    pub inside: Vec<(FdRole, OwnedFd)>,
    outputs: Vec<Output>,
    input: Option<Input>,
    terminal: Option<Terminal>,
    pub specs: Vec<LoggerSpec>,
    pub loggers: Vec<u64>,
}

/// What a terminal will be connected to.
struct Terminal {
    to: Sink,
    from: Option<(OwnedFd, OwnedFd)>,
}

impl Keeper {
    /// Opens and makes everything; dropping the result closes it, which a FIFO's reader sees as the end.
    pub fn prepare_io(&self, stdio: &Stdio, key: &ProcessKey) -> Result<Prepared, Failure> {
        let stdin = Target::parse("stdin", &stdio.stdin)?;
        let stdout = Target::parse("stdout", &stdio.stdout)?;
        let stderr = Target::parse("stderr", &stdio.stderr)?;
        let mut io = Prepared::default();
        let input = match &stdin {
            Target::Null => None,
            Target::Fifo(path) => Some(open_input(path)?),
            Target::File(_) | Target::Logger { .. } => {
                let cause = "stdin comes from a FIFO or is empty";
                return Err(explained(
                    "open stdin",
                    &stdio.stdin,
                    Errno::INVAL,
                    cause,
                    "",
                ));
            }
        };
        let mut loggers = Loggers {
            specs: BTreeMap::new(),
            stdio,
        };
        if stdio.terminal {
            let to = match open_output("stdout", &stdout)? {
                Opened::Nothing => Sink::Nowhere,
                Opened::Fifo(sink) => sink,
                Opened::Logger(program) => {
                    let (read, write) = pipe(stdio, End::Write)?;
                    loggers.add(program, FdRole::Stdout, read);
                    Sink::Pipe(write)
                }
            };
            io.terminal = Some(Terminal { to, from: input });
        } else {
            match input {
                Some((from, keep)) => {
                    let (read, write) = pipe(stdio, End::Write)?;
                    io.input = Some(Input::new(from, keep, write, false));
                    io.inside.push((FdRole::Stdin, read));
                }
                None => io.inside.push((FdRole::Stdin, null()?)),
            }
            for (role, field, target) in [
                (FdRole::Stdout, "stdout", &stdout),
                (FdRole::Stderr, "stderr", &stderr),
            ] {
                let inside = match open_output(field, target)? {
                    Opened::Nothing => null()?,
                    Opened::Fifo(sink) => {
                        let (read, write) = pipe(stdio, End::Read)?;
                        io.outputs.push(Output::new(key.clone(), read, sink, false));
                        write
                    }
                    Opened::Logger(program) => {
                        let (read, write) = pipe(stdio, End::None)?;
                        loggers.add(program, role, read);
                        write
                    }
                };
                io.inside.push((role, inside));
            }
        }
        io.specs = loggers.specs.into_values().collect();
        Ok(io)
    }

    /// The process is there: its bytes begin to flow.
    pub fn start_io(
        &mut self,
        prepared: Prepared,
        master: Option<OwnedFd>,
        key: &ProcessKey,
    ) -> Io {
        let Prepared {
            mut outputs,
            mut input,
            terminal,
            loggers,
            ..
        } = prepared;
        let mut io = Io {
            loggers,
            ..Io::default()
        };
        if let (Some(terminal), Some(master)) = (terminal, master) {
            let _ = fcntl_setfl(&master, OFlags::NONBLOCK);
            match (master.try_clone(), master.try_clone()) {
                (Ok(reads), Ok(writes)) => {
                    outputs.push(Output::new(key.clone(), reads, terminal.to, true));
                    let from = terminal.from;
                    input = from.map(|(from, keep)| Input::new(from, keep, writes, true));
                }
                (Err(error), _) | (_, Err(error)) => {
                    self.log
                        .error(format_args!("{key}: its terminal can't be served: {error}"));
                }
            }
            io.master = Some(master);
        }
        for output in outputs {
            let id = self.reactor.fresh_id();
            let _ = self
                .reactor
                .add(&output.from, Source::Output, id, Interest::Edge);
            if let Some(to) = output.to.descriptor() {
                let _ = self
                    .reactor
                    .add(to, Source::Output, id, Interest::EdgeWrite);
            }
            self.outputs.insert(id, output);
            io.outputs.push(id);
        }
        if let Some(input) = input {
            let id = self.reactor.fresh_id();
            let _ = self
                .reactor
                .add(&input.from, Source::Input, id, Interest::Edge);
            let _ = self
                .reactor
                .add(&input.to, Source::Input, id, Interest::EdgeWrite);
            self.inputs.insert(id, input);
            io.input = Some(id);
        }
        io
    }

    /// Closes what was made for a process that did not come to be.
    pub fn close_prepared(&mut self, prepared: Prepared) {
        for output in prepared.outputs {
            self.leave_sink(output.to);
        }
        if let Some(terminal) = prepared.terminal {
            self.leave_sink(terminal.to);
        }
    }

    pub fn run_output(&mut self, id: u64) {
        let Some(output) = self.outputs.get_mut(&id) else {
            return;
        };
        let had_reader = !matches!(output.to, Sink::Nowhere);
        let progress = output.run();
        if had_reader && matches!(output.to, Sink::Nowhere) {
            self.lost_outputs += 1;
        }
        match progress {
            Progress::Waiting => {}
            Progress::More => self.busy.push((Source::Output, id)),
            Progress::Ended => {
                let owner = output.owner.clone();
                self.close_output(id);
                if let Some(process) = self.pod.process_mut(&owner) {
                    process.io.outputs.retain(|other| *other != id);
                    self.settle(&owner.container);
                }
            }
        }
    }

    pub fn run_input(&mut self, id: u64) {
        let Some(input) = self.inputs.get_mut(&id) else {
            return;
        };
        match input.run() {
            Progress::Waiting => {}
            Progress::More => self.busy.push((Source::Input, id)),
            Progress::Ended => self.close_input(id),
        }
    }

    fn close_output(&mut self, id: u64) {
        if let Some(output) = self.outputs.remove(&id) {
            self.reactor.remove(&output.from);
            if let Some(to) = output.to.descriptor() {
                self.reactor.remove(to);
            }
            self.leave_sink(output.to);
        }
    }

    /// The process sees the end of its input, unless it is a terminal.
    fn close_input(&mut self, id: u64) {
        if let Some(input) = self.inputs.remove(&id) {
            self.reactor.remove(&input.from);
            self.reactor.remove(&input.to);
        }
    }

    /// Lets go of our own writing end: the input ends when the client's is gone too.
    pub fn close_stdin(&mut self, key: &ProcessKey) {
        let Some(id) = self.pod.process(key).and_then(|process| process.io.input) else {
            return;
        };
        if let Some(input) = self.inputs.get_mut(&id) {
            input.keep = None;
            self.run_input(id);
        }
    }

    /// The process has ended: its input is closed, and what is left of its output has a limited time to be passed on.
    pub fn drain_io(&mut self, key: &ProcessKey) {
        let Some(process) = self.pod.process_mut(key) else {
            return;
        };
        let input = process.io.input.take();
        let (outputs, loggers) = (process.io.outputs.clone(), process.io.loggers.clone());
        if let Some(id) = input {
            self.close_input(id);
        }
        for id in outputs {
            self.run_output(id);
        }
        for id in loggers {
            self.process_of_logger_ended(id);
        }
        if self
            .pod
            .process(key)
            .is_some_and(|process| !process.io.outputs.is_empty())
        {
            self.reactor
                .after(self.tuning.drain, Timer::Drain(key.clone()));
        }
    }

    pub fn is_drained(&self, io: &Io) -> bool {
        io.outputs.is_empty() && io.loggers.is_empty()
    }

    /// The time for passing output on is over; someone else still holds the pipe, or the client does not read.
    pub fn drain_over(&mut self, key: &ProcessKey) {
        let Some(process) = self.pod.process(key) else {
            return;
        };
        if process.exit.is_some() && !process.io.outputs.is_empty() {
            self.lost_outputs += process.io.outputs.len() as u64;
            self.log.info(format_args!(
                "{key}: its output is cut off {:?} after its exit",
                self.tuning.drain
            ));
            self.cut_io(key);
            self.settle(&key.container);
        }
    }

    /// Ends output and input at once.
    pub fn cut_io(&mut self, key: &ProcessKey) {
        let Some(process) = self.pod.process_mut(key) else {
            return;
        };
        let master = process.io.master.take();
        let io = std::mem::take(&mut process.io);
        process.io.master = master;
        self.close_io(io);
    }

    pub fn close_io(&mut self, io: Io) {
        for id in io.outputs {
            self.close_output(id);
        }
        if let Some(id) = io.input {
            self.close_input(id);
        }
        for id in io.loggers {
            self.end_logger(id);
        }
    }
}

/// Output to one and the same program or file shares one logger.
struct Loggers<'a> {
    specs: BTreeMap<String, LoggerSpec>,
    stdio: &'a Stdio,
}

impl Loggers<'_> {
    fn add(&mut self, program: Program, role: FdRole, read: OwnedFd) {
        let spec = self
            .specs
            .entry(format!("{program:?}"))
            .or_insert_with(|| LoggerSpec {
                program,
                stdout: None,
                stderr: None,
                container_id: self.stdio.container_id.clone(),
                namespace: self.stdio.namespace.clone(),
            });
        match role {
            FdRole::Stderr => spec.stderr = Some(read),
            _ => spec.stdout = Some(read),
        }
    }
}

enum Opened {
    Nothing,
    Fifo(Sink),
    Logger(Program),
}

fn open_output(field: &str, target: &Target) -> Result<Opened, Failure> {
    let step = format!("open {field}");
    match target {
        Target::Null => Ok(Opened::Nothing),
        Target::File(path) => Ok(Opened::Logger(Program::File {
            path: path.clone(),
            make: true,
        })),
        Target::Logger {
            program,
            args,
            strict,
        } => Ok(Opened::Logger(Program::Binary {
            path: program.clone(),
            args: args.clone(),
            strict: *strict,
        })),
        Target::Fifo(path) => {
            let failed = |error: Errno| failure(&step, path.display(), error);
            // A FIFO's writing end opens by itself only where its client reads already; beside a reading end of ours, always.
            let met = match open(path, flags(OFlags::WRONLY), Mode::empty()) {
                Ok(write) => Some(write),
                Err(Errno::NXIO) => None,
                Err(error) => return Err(failed(error)),
            };
            let read = open(path, flags(OFlags::RDONLY), Mode::empty()).map_err(failed)?;
            if !is_fifo(&read).map_err(failed)? {
                return Ok(Opened::Logger(Program::File {
                    path: path.clone(),
                    make: false,
                }));
            }
            let (write, met) = match met {
                Some(write) => (write, true),
                None => {
                    let write = open(path, flags(OFlags::WRONLY), Mode::empty());
                    (write.map_err(failed)?, false)
                }
            };
            Ok(Opened::Fifo(Sink::Fifo { write, read, met }))
        }
    }
}

/// The client's FIFO: its reading end, and a writing end of our own.
fn open_input(path: &Path) -> Result<(OwnedFd, OwnedFd), Failure> {
    let failed = |error: Errno| failure("open stdin", path.display(), error);
    let read = open(path, flags(OFlags::RDONLY), Mode::empty()).map_err(failed)?;
    if !is_fifo(&read).map_err(failed)? {
        return Err(explained(
            "open stdin",
            path.display(),
            Errno::INVAL,
            "not a FIFO",
            "",
        ));
    }
    let write = open(path, flags(OFlags::WRONLY), Mode::empty()).map_err(failed)?;
    Ok((read, write))
}

fn flags(way: OFlags) -> OFlags {
    way | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY
}

fn is_fifo(file: &OwnedFd) -> Result<bool, Errno> {
    Ok(FileType::from_raw_mode(fstat(file)?.st_mode) == FileType::Fifo)
}

fn null() -> Result<OwnedFd, Failure> {
    open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| failure("open", "/dev/null", error))
}

/// The end of a pipe that the keeper itself uses, which must not block.
#[derive(PartialEq, Eq)]
enum End {
    Read,
    Write,
    None,
}

/// A pipe that belongs to the workload, so that it can reopen it by name (`/dev/stdout`).
fn pipe(stdio: &Stdio, ours: End) -> Result<(OwnedFd, OwnedFd), Failure> {
    let failed = |error: Errno| failure("make stdio", "pipe", error);
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    let (uid, gid) = (
        Uid::from_raw(stdio.owner_uid),
        Gid::from_raw(stdio.owner_gid),
    );
    fchown(&read, Some(uid), Some(gid)).map_err(failed)?;
    match ours {
        End::Read => fcntl_setfl(&read, OFlags::NONBLOCK).map_err(failed)?,
        End::Write => fcntl_setfl(&write, OFlags::NONBLOCK).map_err(failed)?,
        End::None => {}
    }
    Ok((read, write))
}
