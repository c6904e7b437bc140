//! The one starter of brigd. Whoever needs the daemon calls [`ensure`]: if nobody listens on its socket, one of all callers
//! (by a lock) binds the socket and starts the daemon with it as descriptor 0. The socket listens before the daemon runs, so
//! that callers may connect at once and wait for an answer only.
//!
//! What is started is the daemon's supervisor (module `supervisor`), a child of nobody who called: forked twice, in a session of
//! its own, out of its starter's control groups, limits, environment and signal mask. Started by a keeper, which happens
//! only after a supervisor was killed, it is the keeper's child and stays within its Landlock domain: such a daemon serves everybody
//! but can't read the namespaces of other pods' processes, which `brig explain` then says.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::installation::{CONFIG_VARIABLE, Installation};
use crate::problem::{Outcome, Problem};
use crate::{lock, placement, socket, supervisor};
use sys::clone::{ForkFlags, Forked};
use sys::process::Fork;

/// A log longer than this at the daemon's start becomes `brigd.log.1`, in place of an older one.
const LONGEST_LOG: u64 = 1 << 20;

/// From fork to exec of the first daemon.
const PATIENCE: Duration = Duration::from_secs(5);

/// Nothing of a starter's environment reaches the daemon but this and the configuration's name.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// For keepers: [`ensure`] for this program's installation.
///
/// # Errors
/// As [`ensure`].
pub fn start_daemon(run_dir: &Path) -> io::Result<()> {
    let mut installation = Installation::current()?.clone();
    installation.run = run_dir.to_owned();
    ensure(&installation)?;
    Ok(())
}

/// The daemon's socket.
pub fn socket_path(installation: &Installation) -> PathBuf {
    installation.run.join("brigd.sock")
}

/// Where the daemon's process id stands, for whoever wants to stop it.
fn pid_path(installation: &Installation) -> PathBuf {
    installation.run.join("brigd.pid")
}

/// The daemon's log.
pub fn log_path(installation: &Installation) -> PathBuf {
    installation.run.join("brigd.log")
}

/// Who binds or withdraws the daemon's socket holds this lock.
pub fn lock_path(installation: &Installation) -> PathBuf {
    installation.run.join("brigd.lock")
}

/// Sees to it that somebody listens on brigd's socket; true if this call started the daemon.
///
/// # Errors
/// The socket can't be bound, or the daemon's program can't be executed.
pub fn ensure(installation: &Installation) -> Outcome<bool> {
    let path = socket_path(installation);
    if socket::connect(&path)?.is_some() {
        return Ok(false);
    }
    // The lock is held until the daemon runs or its socket is gone; nobody waits for it meanwhile who finds the socket listening.
    let Some((listener, _lock)) = bind(installation)? else {
        return Ok(false);
    };
    let started = spawn(installation, listener);
    if started.is_err() {
        // No one may queue up at a socket that nobody will serve.
        let _ = fs::remove_file(&path);
    }
    started.map(|()| true)
}

/// Runs the daemon in place of this process, as a service manager wants it: socket from the manager (descriptor 3 becomes 0) or
/// bound here, messages to standard error, placement left to the manager. With `aot_output` it runs to be watched: at its
/// end the virtual machine writes there what makes the next start quick.
///
/// # Errors
/// One runs already, or it can't be executed. Never returns otherwise.
pub fn foreground(
    installation: &Installation,
    handed: Option<OwnedFd>,
    aot_output: Option<&str>,
) -> Problem {
    let listener = match handed {
        Some(listener) => listener,
        None => match bind(installation) {
            Ok(Some((listener, _lock))) => listener,
            Ok(None) => {
                return Problem::at(
                    "start brigd",
                    &socket_path(installation),
                    "a daemon listens there already",
                )
                .remedy("stop it first, or move [paths] run of brig.toml");
            }
            Err(problem) => return problem,
        },
    };
    if let Err(error) = rustix::stdio::dup2_stdin(&listener) {
        return Problem::new("start brigd", "descriptor 0", error);
    }
    let _ = sys::process::close_all_but(&[]);
    write_pid(installation);
    let mut command = daemon(installation, aot_output);
    let error = command.exec();
    no_program(&command, &error)
}

/// The listening socket and the lock under which it was bound; nothing if somebody else listens by now.
fn bind(installation: &Installation) -> Outcome<Option<(OwnedFd, File)>> {
    let path = socket_path(installation);
    socket::private_dir(&installation.run)?;
    let lock = lock::take(&lock_path(installation))?;
    if socket::connect(&path)?.is_some() {
        return Ok(None);
    }
    Ok(Some((socket::listen(&path)?, lock)))
}

fn spawn(installation: &Installation, listener: OwnedFd) -> Outcome<()> {
    let fault = |error: &dyn std::fmt::Display| Problem::new("start brigd", "fork", error);
    let log = open_log(&log_path(installation))?;
    let (report, told) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|error| fault(&error))?;
    match sys::process::fork().map_err(|error| fault(&error))? {
        Fork::Parent(child) => {
            drop(told);
            drop(listener);
            let said = await_exec(report);
            // The one in between ends at once; somebody else may have collected it.
            if let Some(child) = rustix::process::Pid::from_raw(child) {
                let _ =
                    rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty());
            }
            said
        }
        Fork::Child => {
            let _ = rustix::process::setsid();
            let Some(born_in_v2) = fork_into_place() else {
                sys::process::exit_now(0)
            };
            let problem = become_supervisor(installation, &listener, log, &told, born_in_v2);
            let _ = File::from(told).write_all(problem.to_string().as_bytes());
            sys::process::exit_now(1)
        }
    }
}

/// Forks; in the child, whether it was born in the daemon's group of v2.
fn fork_into_place() -> Option<bool> {
    if let Some(place) = placement::birthplace() {
        // SAFETY: a process that was just forked has a single thread.
        if let Ok(forked) = unsafe { sys::clone::fork(ForkFlags::empty(), Some(place.as_fd())) } {
            return matches!(forked, Forked::Child).then_some(true);
        }
    }
    matches!(sys::process::fork(), Ok(Fork::Child)).then_some(false)
}

/// Nothing comes if the program was executed, its fault otherwise.
fn await_exec(report: OwnedFd) -> Outcome<()> {
    let fault = |cause: &dyn std::fmt::Display| Problem::new("start brigd", "fork", cause);
    let patience = Timespec {
        tv_sec: PATIENCE.as_secs().cast_signed(),
        tv_nsec: 0,
    };
    let ready = rustix::io::retry_on_intr(|| {
        rustix::event::poll(&mut [PollFd::new(&report, PollFlags::IN)], Some(&patience))
    })
    .map_err(|error| fault(&error))?;
    if ready == 0 {
        return Err(fault(
            &"the new process did not execute the daemon within 5 s",
        ));
    }
    let mut said = String::new();
    File::from(report)
        .take(4096)
        .read_to_string(&mut said)
        .map_err(|error| fault(&error))?;
    if said.is_empty() {
        return Ok(());
    }
    Err(Problem::new("start brigd", "new process", said))
}

/// The last steps, in the process that becomes the supervisor. It executes the installed program, so that neither its command line nor
/// its memory is its starter's.
fn become_supervisor(
    installation: &Installation,
    listener: &OwnedFd,
    mut log: File,
    told: &OwnedFd,
    born_in_v2: bool,
) -> Problem {
    let fault =
        |object: &'static str, error: rustix::io::Errno| Problem::new("start brigd", object, error);
    if let Err(error) = rustix::stdio::dup2_stdin(listener) {
        return fault("descriptor 0", error);
    }
    for line in placement::settle(born_in_v2) {
        let _ = writeln!(log, "{line}");
    }
    if let Err(error) = rustix::stdio::dup2_stdout(log.as_fd())
        .and_then(|()| rustix::stdio::dup2_stderr(log.as_fd()))
    {
        return fault("log", error);
    }
    drop(log);
    if let Err(error) = sys::children::place(&[(told, supervisor::REPORT)]) {
        return Problem::new("start brigd", "report", error);
    }
    let _ = sys::process::close_all_but(&[told.as_raw_fd(), supervisor::REPORT]);
    sys::process::reset_signals();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let mut command = Command::new(installation.prefix.join("bin/brig"));
    command.arg0("brigd").arg("--supervise").current_dir("/");
    let error = with_own_environment(&mut command, installation).exec();
    no_program(&command, &error)
}

/// This process's id, which the daemon keeps; a reader sees the former one's or it, never half of it. Without the file all works
/// but stopping it by hand.
pub fn write_pid(installation: &Installation) {
    let path = pid_path(installation);
    let making = path.with_extension("pid.new");
    let _ = fs::write(&making, format!("{}\n", std::process::id()))
        .and_then(|()| fs::rename(&making, &path));
}

/// The daemon's command line and environment.
pub fn daemon(installation: &Installation, aot_output: Option<&str>) -> Command {
    let lib = installation.lib();
    let mut options = std::ffi::OsString::from("@");
    options.push(lib.join("brigd.options"));
    let mut command = Command::new(lib.join("runtime/bin/java"));
    if let Some(file) = aot_output {
        command.arg(format!("-XX:AOTCacheOutput={file}"));
    }
    command.arg(options);
    with_own_environment(&mut command, installation).env("BRIG_PREFIX", installation.root());
    command
}

/// The environment of daemon and supervisor: nothing of the starter's but the configuration's name.
fn with_own_environment<'a>(
    command: &'a mut Command,
    installation: &Installation,
) -> &'a mut Command {
    command
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .env("LANG", "C.UTF-8");
    if let Some(config) = &installation.config {
        command.env(CONFIG_VARIABLE, config);
    }
    command
}

/// Says which program could not be executed.
pub fn no_program(command: &Command, error: &io::Error) -> Problem {
    Problem::at("execute brigd", Path::new(command.get_program()), error)
        .remedy("install it with scripts/install")
}

/// The daemon's log, to be written at its end.
pub fn open_log(path: &Path) -> Outcome<File> {
    if fs::metadata(path).is_ok_and(|log| log.len() > LONGEST_LOG) {
        let _ = fs::rename(path, path.with_extension("log.1"));
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| Problem::at("open the log", path, error))
}
