//! The daemon's parent: a small process, one per node, that holds brigd's socket, starts the daemon with it and starts it again
//! whenever it has died. Connections made meanwhile wait in the socket's queue; nobody finds it refusing.
//!
//! It is there so that each daemon of a node is born where the first one was: outside of the pods. Keepers put themselves and
//! all they fork into a Landlock domain, from which a daemon couldn't look into other pods' processes.
//!
//! It ends when nobody needs a daemon: after the daemon was told to end (SIGTERM) and nobody has connected for
//! [`LINGER`], or when it is told to end itself. It takes no decision but when to start the daemon: at once after it was killed,
//! later and later if it doesn't live, and then only for someone who asks.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::SocketFlags;
use rustix::process::{Pid, Signal};
use sys::process::Fork;

use crate::installation::Installation;
use crate::lock;
use crate::problem::{Outcome, Problem};
use crate::starter;

/// How long nobody has to ask for a daemon that was told to end before this process ends as well. Keepers ask within
/// a second.
const LINGER: Duration = Duration::from_secs(5);

/// A daemon that gave up, but lived this long before, had started well.
const HEALTHY: Duration = Duration::from_secs(10);

/// The same for one that was killed: someone's wish, most of the time, and no sign that the next will fare no better. A short
/// memory limit kills sooner.
const SETTLED: Duration = Duration::from_secs(1);

/// Daemons that may end early in a row before there is a pause between them.
const FREE_RETRIES: u32 = 3;
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A daemon that was told to end and doesn't is killed then.
const END_LIMIT: Duration = Duration::from_secs(10);

/// Descriptor on which the starter waits for the first daemon's start.
pub const REPORT: i32 = 3;

/// Runs the supervisor in this process, which was executed for it: descriptor 0 is the listening socket, [`REPORT`] tells the
/// starter, placement and limits are the daemon's. Returns only a failure to begin.
pub fn run(installation: &'static Installation) -> Problem {
    let _ = rustix::thread::set_name(c"brigd");
    let report = sys::process::adopt_descriptor(REPORT);
    match Supervisor::begin(installation) {
        Ok(mut supervisor) => supervisor.serve(report),
        Err(problem) => {
            if let Some(report) = report {
                let _ = File::from(report).write_all(problem.to_string().as_bytes());
            }
            problem
        }
    }
}

/// How a daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It was told to.
    Asked,
    /// A signal killed it.
    Killed,
    /// It gave up, and its log says why.
    Failed,
}

impl End {
    /// From a status as shells have it: 128 + n for signal n, and for the JVM's own answer to one.
    fn of(status: u32) -> End {
        match status {
            0 | 130 | 143 => End::Asked,
            0..=128 => End::Failed,
            _ => End::Killed,
        }
    }

    /// Whether a daemon that lived this long had no time to be of use.
    fn is_early(self, lived: Duration) -> bool {
        match self {
            End::Asked => false,
            End::Killed => lived < SETTLED,
            End::Failed => lived < HEALTHY,
        }
    }
}

/// The pause before the next start after so many early ends in a row.
fn pause_after(early_ends: u32) -> Duration {
    match early_ends.checked_sub(FREE_RETRIES + 1) {
        None => Duration::ZERO,
        Some(doublings) => SHORTEST_PAUSE
            .saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX))
            .min(LONGEST_PAUSE),
    }
}

struct Supervisor {
    installation: &'static Installation,
    /// Of SIGCHLD and SIGTERM.
    signals: OwnedFd,
    path: PathBuf,
    /// Device and inode of the socket's name, which is another's once they differ.
    name: Option<(u64, u64)>,
    early_ends: u32,
    /// It was told to end.
    leaving: bool,
}

impl Supervisor {
    fn begin(installation: &'static Installation) -> Outcome<Supervisor> {
        let fault = |error: io::Error| Problem::new("start brigd", "signals", error);
        let path = starter::socket_path(installation);
        Ok(Supervisor {
            installation,
            signals: sys::children::signal_descriptor(&[libc::SIGCHLD, libc::SIGTERM])
                .map_err(fault)?,
            name: name_of(&path),
            path,
            early_ends: 0,
            leaving: false,
        })
    }

    fn serve(&mut self, mut report: Option<OwnedFd>) -> ! {
        loop {
            let began = Instant::now();
            let end = match self.start(report.take()) {
                Ok(daemon) => self.watch(daemon),
                Err(problem) => {
                    self.say(&problem);
                    End::Failed
                }
            };
            if self.leaving {
                self.leave();
            }
            if !self.is_named() {
                // Nobody can reach it any more: the starter took the name back, or the run directory is gone.
                sys::process::exit_now(0);
            }
            self.early_ends = if end.is_early(began.elapsed()) {
                self.early_ends.saturating_add(1)
            } else {
                0
            };
            if end == End::Failed {
                // Whoever waits learns that there is no daemon, and finds the reason in the log.
                self.turn_away();
            }
            self.rest(pause_after(self.early_ends));
            if end != End::Killed {
                self.await_demand();
            }
        }
    }

    /// The daemon's process id, once it has been forked; the report is closed by its execve.
    fn start(&self, report: Option<OwnedFd>) -> Outcome<i32> {
        let log = starter::open_log(&starter::log_path(self.installation))?;
        match sys::process::fork().map_err(|error| Problem::new("start brigd", "fork", error))? {
            Fork::Parent(pid) => Ok(pid),
            Fork::Child => {
                let problem = self.become_daemon(log);
                let said = problem.to_string();
                match report {
                    Some(report) => drop(File::from(report).write_all(said.as_bytes())),
                    None => self.say(&problem),
                }
                sys::process::exit_now(1)
            }
        }
    }

    fn become_daemon(&self, log: File) -> Problem {
        if let Err(error) = rustix::stdio::dup2_stdout(log.as_fd())
            .and_then(|()| rustix::stdio::dup2_stderr(log.as_fd()))
        {
            return Problem::new("start brigd", "log", error);
        }
        drop(log);
        sys::process::reset_signals();
        starter::write_pid(self.installation);
        let mut command = starter::daemon(self.installation, None);
        let error = command.exec();
        starter::no_program(&command, &error)
    }

    /// Waits for the daemon's end; passes on the wish to end.
    fn watch(&mut self, daemon: i32) -> End {
        let mut deadline: Option<Instant> = None;
        loop {
            if let Some(ended) = sys::children::reap(daemon) {
                let end = End::of(ended.status);
                if end != End::Asked {
                    self.say(&format_args!(
                        "brigd (process {daemon}) ended with status {}",
                        ended.status
                    ));
                }
                return end;
            }
            let told = self.leaving;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            self.poll_signals(left);
            if self.leaving && !told {
                kill(daemon, Signal::TERM);
                deadline = Some(Instant::now() + END_LIMIT);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.say(&format_args!(
                    "brigd (process {daemon}) did not end within {END_LIMIT:?}; killed"
                ));
                kill(daemon, Signal::KILL);
                deadline = None;
            }
        }
    }

    /// Until a signal comes or the time is over.
    fn poll_signals(&mut self, limit: Option<Duration>) {
        poll(&mut [PollFd::new(&self.signals, PollFlags::IN)], limit);
        self.take_signals();
    }

    fn take_signals(&mut self) {
        while let Some(signal) = sys::children::next_signal(self.signals.as_fd()) {
            self.leaving |= signal == libc::SIGTERM;
        }
    }

    fn rest(&mut self, pause: Duration) {
        let end = Instant::now() + pause;
        while !self.leaving && Instant::now() < end {
            self.poll_signals(Some(end.saturating_duration_since(Instant::now())));
        }
        if self.leaving {
            self.leave();
        }
    }

    /// Returns when somebody wants a daemon; ends this process if nobody does.
    fn await_demand(&mut self) {
        loop {
            let end = Instant::now() + LINGER;
            loop {
                let left = end.saturating_duration_since(Instant::now());
                let stdin = rustix::stdio::stdin();
                poll(
                    &mut [
                        PollFd::new(&stdin, PollFlags::IN),
                        PollFd::new(&self.signals, PollFlags::IN),
                    ],
                    Some(left),
                );
                self.take_signals();
                if self.leaving {
                    self.leave();
                }
                if is_asked() {
                    return;
                }
                if left.is_zero() {
                    break;
                }
            }
            if self.withdraw() {
                sys::process::exit_now(0);
            }
        }
    }

    fn is_named(&self) -> bool {
        self.name.is_some() && name_of(&self.path) == self.name
    }

    /// Takes the socket's name away, unless somebody has connected before that. Under the starters' lock, so that whoever misses
    /// the name waits until it is known whether it comes back.
    fn withdraw(&self) -> bool {
        if !self.is_named() {
            return true;
        }
        let Ok(_lock) = lock::take(&starter::lock_path(self.installation)) else {
            return true;
        };
        let aside = self.path.with_extension("sock.ending");
        if fs::rename(&self.path, &aside).is_err() {
            return true;
        }
        if is_asked() && fs::rename(&aside, &self.path).is_ok() {
            return false;
        }
        let _ = fs::remove_file(&aside);
        true
    }

    /// Ends, as it was told to: who waits is turned away, the next who comes starts another.
    fn leave(&self) -> ! {
        if self.is_named() {
            let _lock = lock::take(&starter::lock_path(self.installation));
            let _ = fs::remove_file(&self.path);
        }
        sys::process::exit_now(0)
    }

    /// Closes every connection that waits.
    fn turn_away(&self) {
        while is_asked() {
            if rustix::net::accept_with(rustix::stdio::stdin(), SocketFlags::CLOEXEC).is_err() {
                return;
            }
        }
    }

    /// One line in the daemon's log.
    fn say(&self, what: &dyn std::fmt::Display) {
        if let Ok(mut log) = starter::open_log(&starter::log_path(self.installation)) {
            let _ = writeln!(log, "supervisor: {what}");
        }
    }
}

fn name_of(path: &std::path::Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path)
        .ok()
        .map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Whether a connection waits to be accepted.
fn is_asked() -> bool {
    let stdin = rustix::stdio::stdin();
    poll(
        &mut [PollFd::new(&stdin, PollFlags::IN)],
        Some(Duration::ZERO),
    )
}

/// Whether one became ready in time; a signal that is handled elsewhere counts as none.
fn poll(descriptors: &mut [PollFd<'_>], limit: Option<Duration>) -> bool {
    let limit = limit.map(|limit| Timespec {
        tv_sec: limit.as_secs().cast_signed(),
        tv_nsec: limit.subsec_nanos().into(),
    });
    rustix::event::poll(descriptors, limit.as_ref()).is_ok_and(|ready| ready > 0)
}

fn kill(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_does_not_live_is_started_later_and_later() {
        let pauses: Vec<u128> = (0..8).map(|ends| pause_after(ends).as_millis()).collect();
        assert_eq!(pauses, [0, 0, 0, 0, 100, 200, 400, 800]);
        assert_eq!(pause_after(40), LONGEST_PAUSE);
        assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn only_an_end_that_was_asked_for_is_one() {
        assert_eq!([0, 143, 130].map(End::of), [End::Asked; 3]);
        assert_eq!([1, 2, 127].map(End::of), [End::Failed; 3]);
        assert_eq!([137, 134, 139].map(End::of), [End::Killed; 3]);
    }

    #[test]
    fn a_daemon_killed_every_two_seconds_is_started_at_once_and_one_that_gives_up_is_not() {
        let lived = Duration::from_secs(2);
        assert!(!End::Killed.is_early(lived));
        assert!(End::Failed.is_early(lived));
        assert!(!End::Asked.is_early(Duration::ZERO));
        assert!(End::Killed.is_early(Duration::from_millis(100)));
    }
}
