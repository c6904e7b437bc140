//! The daemon's steps: each (seq, step) is carried out once; what takes its time ends later by its ticket.

use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstatfs, openat2};
use rustix::io::Errno;
use rustix::process::Signal;
use wire::keeper::step::Action;
use wire::keeper::{
    CgroupOp, FileContent, ListProcesses, ProcessList, ReadFile, Remembered, ResizePty, Step,
    step_result,
};

use crate::cgroup;
use crate::keeper::Keeper;
use crate::pod::ProcessKey;
use crate::problem::{Outcome, done, explained, failure};
use crate::requests::Ticket;

/// A file of the daemon's choice: how long reading it may take, and its length.
const READ_LIMIT: Duration = Duration::from_secs(10);
const LONGEST_FILE: u32 = 12 << 20;
/// What a step on cgroups may take beyond the time it asks for.
const CGROUP_LIMIT: Duration = Duration::from_secs(30);
/// TMPFS_MAGIC of <linux/magic.h>.
const TMPFS: i64 = 0x0102_1994;

impl Keeper {
    pub fn step(&mut self, step: Step) {
        self.worked();
        let ticket = Ticket {
            seq: step.seq,
            step: step.step,
        };
        if !self.begin_step(ticket) {
            return;
        }
        let Some(action) = step.action else {
            let why = "this keeper does not know this kind of step";
            return self.finish(
                ticket,
                Err(explained("step", ticket.step, Errno::OPNOTSUPP, why, "")),
            );
        };
        if let Some(id) = container_of(&action)
            && self.pod.is_removed(id)
        {
            let failure = explained(
                "step",
                id,
                Errno::CANCELED,
                "the container was deleted meanwhile",
                "",
            );
            return self.finish(ticket, Err(failure));
        }
        self.timeline
            .note("brigd", format_args!("step {}", name_of(&action)));
        match action {
            Action::ReadFile(asked) => self.read_file(ticket, asked),
            Action::OpenStage(asked) => self.open_stage(ticket, asked),
            Action::Execute(asked) => self.execute(ticket, asked),
            Action::Release(asked) => self.release(
                ticket,
                &ProcessKey::new(&asked.container_id, &asked.exec_id),
            ),
            Action::Abort(asked) => self.abort(
                ticket,
                &ProcessKey::new(&asked.container_id, &asked.exec_id),
            ),
            Action::Signal(asked) => {
                let key = ProcessKey::new(&asked.container_id, &asked.exec_id);
                self.signal(ticket, &key, asked.signal, asked.all);
            }
            Action::Cgroup(asked) => self.cgroup_operation(ticket, asked),
            Action::Resize(asked) => {
                let outcome = self.resize(&asked);
                self.finish(ticket, outcome);
            }
            Action::CloseStdin(asked) => {
                let key = ProcessKey::new(&asked.container_id, &asked.exec_id);
                self.close_stdin(&key);
                self.finish(ticket, done());
            }
            Action::RemoveProcess(asked) => {
                let key = ProcessKey::new(&asked.container_id, &asked.exec_id);
                let outcome = self.remove_process(ticket, &key);
                self.finish(ticket, outcome);
            }
            Action::RemoveContainer(asked) => self.remove_container(ticket, &asked.container_id),
            Action::Remember(asked) => {
                self.finish(
                    ticket,
                    Ok(step_result::Result::Remembered(Remembered {
                        value: asked.value,
                    })),
                );
            }
            Action::ListProcesses(asked) => {
                let list = self.list_processes(&asked);
                self.finish(ticket, Ok(step_result::Result::Processes(list)));
            }
            Action::RunHooks(asked) => self.run_hooks(ticket, asked),
        }
    }

    fn read_file(&mut self, ticket: Ticket, asked: ReadFile) {
        let longest = asked.max_bytes.min(LONGEST_FILE) as usize;
        if let Some(outcome) = read_at_once(&asked.path, longest) {
            return self.finish_with(ticket, outcome, false);
        }
        self.work_for(ticket, false, READ_LIMIT, move || {
            read_file(&asked.path, longest)
        });
    }

    fn signal(&mut self, ticket: Ticket, key: &ProcessKey, number: u32, all: bool) {
        let Some(signal) = sys::children::signal(number) else {
            let failure = explained("signal", number, Errno::INVAL, "no such signal", "");
            return self.finish(ticket, Err(failure));
        };
        if !all {
            let outcome = self.kill_one(key, signal);
            return self.finish(ticket, outcome);
        }
        // Init is signalled here: it may not have entered its cgroup yet, or have none.
        let init = self.kill_one(&ProcessKey::new(&key.container, ""), signal);
        let spared = self
            .pod
            .process(&ProcessKey::new(&key.container, ""))
            .map_or(0, |init| init.pid);
        let dirs = self.pod.cgroup_dirs(&key.container);
        self.work_for(
            ticket,
            true,
            CGROUP_LIMIT,
            move || match cgroup::signal_all(&dirs, signal, spared) {
                Err(failure) if failure.errno == Errno::SRCH.raw_os_error() => init,
                other => other,
            },
        );
    }

    /// Signals one process; ESRCH if it is gone or was never there.
    pub fn kill_one(&self, key: &ProcessKey, signal: Signal) -> Outcome {
        let process = self.pod.process(key).filter(|process| process.is_alive());
        let Some(pidfd) = process.and_then(|process| process.pidfd.as_ref()) else {
            return Err(explained(
                "signal",
                key,
                Errno::SRCH,
                "the process is not running",
                "",
            ));
        };
        match rustix::process::pidfd_send_signal(pidfd, signal) {
            Ok(()) => done(),
            Err(error) => Err(failure("signal", key, error)),
        }
    }

    fn cgroup_operation(&mut self, ticket: Ticket, asked: CgroupOp) {
        let dirs = self.pod.cgroup_dirs(&asked.container_id);
        if let Err(failure) = cgroup::check(&asked, &dirs) {
            return self.finish(ticket, Err(failure));
        }
        if asked.writes.is_empty() && asked.await_file.is_empty() {
            return self.finish_with(ticket, cgroup::operate(&asked), false);
        }
        let limit = CGROUP_LIMIT + Duration::from_millis(asked.await_millis.into());
        self.work_for(ticket, true, limit, move || cgroup::operate(&asked));
    }

    fn resize(&mut self, asked: &ResizePty) -> Outcome {
        let key = ProcessKey::new(&asked.container_id, &asked.exec_id);
        let Some(process) = self.pod.process(&key) else {
            return Err(explained(
                "resize",
                &key,
                Errno::SRCH,
                "no such process",
                "",
            ));
        };
        let Some(master) = &process.io.master else {
            return done();
        };
        let clip = |size: u32| u16::try_from(size).unwrap_or(u16::MAX);
        let size = rustix::termios::Winsize {
            ws_row: clip(asked.height),
            ws_col: clip(asked.width),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        match rustix::termios::tcsetwinsize(master, size) {
            Ok(()) => done(),
            Err(error) => Err(failure("resize", &key, error)),
        }
    }

    fn remove_process(&mut self, ticket: Ticket, key: &ProcessKey) -> Outcome {
        let Some(process) = self.pod.process_mut(key) else {
            return done();
        };
        if process.is_alive() {
            let cause = format!("pid {} has not ended", process.pid);
            return Err(explained("remove process", key, Errno::BUSY, cause, ""));
        }
        process.forget_with = Some(ticket.seq);
        let io = std::mem::take(&mut process.io);
        self.close_io(io);
        done()
    }

    fn remove_container(&mut self, ticket: Ticket, id: &str) {
        let Some(container) = self.pod.containers.get_mut(id) else {
            return self.finish(ticket, done());
        };
        container.forget_with = Some(ticket.seq);
        self.kill_container(id);
        let dirs = self.pod.cgroup_dirs(id);
        self.work_for(ticket, true, cgroup::LIMIT, move || {
            cgroup::kill_and_remove(&dirs)
        });
    }

    /// Ends all of a container that the keeper itself holds; the cgroup is someone else's part.
    pub fn kill_container(&mut self, id: &str) {
        let stages = self
            .stages
            .iter()
            .filter(|(_, stage)| stage.is_of(id))
            .map(|(number, _)| *number);
        for stage in stages.collect::<Vec<_>>() {
            self.end_stage(stage, None);
        }
        for exec in self.pod.execs(id) {
            let _ = self.kill_one(&ProcessKey::new(id, &exec), Signal::KILL);
        }
    }

    fn list_processes(&self, asked: &ListProcesses) -> ProcessList {
        let id = &asked.container_id;
        let mut pids = cgroup::processes(&self.pod.cgroup_dirs(id));
        let init = self
            .pod
            .process(&ProcessKey::new(id, ""))
            .map_or(0, |init| init.pid);
        if init != 0 && !pids.contains(&init) {
            pids.insert(0, init);
        }
        ProcessList { pids }
    }
}

/// The container that a step works on, where it must not work on a deleted one.
fn container_of(action: &Action) -> Option<&str> {
    match action {
        Action::OpenStage(asked) => Some(&asked.container_id),
        Action::Execute(asked) => Some(&asked.container_id),
        Action::Release(asked) => Some(&asked.container_id),
        Action::Cgroup(asked) => Some(&asked.container_id),
        Action::Signal(asked) => Some(&asked.container_id),
        Action::RunHooks(_)
        | Action::ReadFile(_)
        | Action::Abort(_)
        | Action::Resize(_)
        | Action::CloseStdin(_)
        | Action::RemoveProcess(_)
        | Action::RemoveContainer(_)
        | Action::Remember(_)
        | Action::ListProcesses(_) => None,
    }
}

/// For the trace.
fn name_of(action: &Action) -> &'static str {
    match action {
        Action::ReadFile(_) => "ReadFile",
        Action::OpenStage(_) => "OpenStage",
        Action::Execute(_) => "Execute",
        Action::Release(_) => "Release",
        Action::Abort(_) => "Abort",
        Action::Signal(_) => "Signal",
        Action::Cgroup(_) => "Cgroup",
        Action::Resize(_) => "Resize",
        Action::CloseStdin(_) => "CloseStdin",
        Action::RemoveProcess(_) => "RemoveProcess",
        Action::RemoveContainer(_) => "RemoveContainer",
        Action::Remember(_) => "Remember",
        Action::ListProcesses(_) => "ListProcesses",
        Action::RunHooks(_) => "RunHooks",
    }
}

/// Reads a file without a worker where nothing can hang: the path is cached, and the file is in memory.
fn read_at_once(path: &str, longest: usize) -> Option<Outcome> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).ok()?;
    #[allow(
        clippy::unnecessary_cast,
        reason = "its type depends on the architecture"
    )]
    let magic = fstatfs(&file).ok()?.f_type as i64;
    (magic == TMPFS).then(|| content(path, cgroup::read_whole(&file, longest)))
}

fn read_file(path: &str, longest: usize) -> Outcome {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    let read = rustix::fs::open(path, flags, Mode::empty())
        .and_then(|file| cgroup::read_whole(&file, longest));
    content(path, read)
}

fn content(path: &str, read: Result<Vec<u8>, Errno>) -> Outcome {
    match read {
        Ok(content) => Ok(step_result::Result::File(FileContent {
            content,
            exists: true,
            errno: 0,
        })),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(step_result::Result::File(FileContent::default())),
        Err(error) => Err(failure("read", path, error)),
    }
}
