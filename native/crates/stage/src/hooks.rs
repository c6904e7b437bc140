//! Hooks: programs that run at points of a container's life, the state on their standard input, a time limit on each, their
//! output in the failure if they fail.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, MemfdFlags, OFlags, SeekFrom};
use rustix::io::{Errno, FdFlags};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use sys::clone::{ForkFlags, Forked};
use sys::exec::Image;
use wire::keeper::source::Kind;
use wire::plan::Hook;
use wire::plan::hook::Point;

use crate::errors::{At, Result, StageError, Step};
use crate::procfs;
use crate::sources::Handles;

/// How much of the end of a hook's output goes into a failure.
const MAX_OUTPUT: usize = 4096;
/// Longest state that a hook is given.
const MAX_STATE: usize = 1 << 20;

/// Status of a container in the state, by the point at which it is read.
pub const CREATING: &str = "creating";
pub const CREATED: &str = "created";

/// The hooks of one plan at one or more points, in their order.
pub fn at<'a>(hooks: &'a [Hook], points: &'a [Point]) -> impl Iterator<Item = &'a Hook> {
    points
        .iter()
        .flat_map(|point| hooks.iter().filter(|hook| hook.point == i32::from(*point)))
}

/// The state as JSON: the plan's parts around status and pid.
pub fn state(parts: &[String], status: &str, pid: i32) -> Result<String> {
    match parts {
        [front, middle, back] => Ok(format!("{front}{status}{middle}{pid}{back}")),
        _ => Err(StageError::new(
            Step::ReadPlan,
            "state",
            format!("{} parts, not 3", parts.len()),
        )),
    }
}

/// The program of a hook.
pub enum Program<'a> {
    Opened(BorrowedFd<'a>),
    /// Looked up by the hook's process, where that is.
    Path,
}

impl<'a> Program<'a> {
    /// By the hook's handle, which it must have.
    pub fn of(hook: &Hook, handles: &'a Handles) -> Result<Program<'a>> {
        let opened = handles.of_kind(hook.handle, Kind::Executable, Step::RunHook)?;
        Ok(Program::Opened(opened.descriptor.as_fd()))
    }
}

/// Opens the program of a hook that is named by a host path.
pub fn open_host(hook: &Hook) -> Result<OwnedFd> {
    let opened = procfs::open_host(&hook.path, OFlags::PATH).at(Step::RunHook, &hook.path)?;
    let stat = rustix::fs::fstat(&opened).at(Step::RunHook, &hook.path)?;
    if !hook.path.starts_with('/') || FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
    {
        return Err(StageError::new(
            Step::RunHook,
            &hook.path,
            "not an absolute path of a file",
        ));
    }
    Ok(opened)
}

/// Runs one hook to its end.
pub fn run(hook: &Hook, program: &Program<'_>, state: &str) -> Result<()> {
    let object = &hook.path;
    let image = image(hook)?;
    let input = input(state).at(Step::RunHook, object)?;
    let (output, write) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).at(Step::RunHook, object)?;
    // SAFETY: a stage, and what it forks, has a single thread.
    match unsafe { sys::clone::fork(ForkFlags::empty(), None) }.at(Step::RunHook, object)? {
        Forked::Child => {
            if let Err(error) = become_hook(program, &image, &input, &write, object) {
                let _ = rustix::io::write(&write, error.to_string().as_bytes());
            }
            sys::process::exit_now(127)
        }
        Forked::Parent { pid, pidfd } => {
            drop((input, write));
            finish(hook, pid, &pidfd, &output)
        }
    }
}

fn image(hook: &Hook) -> Result<Image> {
    let text = |text: &String| {
        CString::new(text.as_str())
            .map_err(|_| StageError::new(Step::RunHook, &hook.path, "an argument with a NUL byte"))
    };
    let args = if hook.args.is_empty() {
        vec![text(&hook.path)?]
    } else {
        hook.args.iter().map(text).collect::<Result<_>>()?
    };
    Ok(Image::new(
        text(&hook.path)?,
        args,
        hook.env.iter().map(text).collect::<Result<_>>()?,
    ))
}

/// A file in memory: a hook may read it or not, nobody waits.
fn input(state: &str) -> rustix::io::Result<OwnedFd> {
    if state.len() > MAX_STATE {
        return Err(Errno::FBIG);
    }
    let file = rustix::fs::memfd_create("state", MemfdFlags::CLOEXEC)?;
    let mut rest = state.as_bytes();
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(&file, rest)?..];
    }
    rustix::fs::seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}

fn become_hook(
    program: &Program<'_>,
    image: &Image,
    input: &OwnedFd,
    output: &OwnedFd,
    object: &str,
) -> Result<()> {
    let step = |result: rustix::io::Result<()>| result.at(Step::RunHook, object);
    step(rustix::process::setsid().map(drop))?;
    sys::credentials::die_with_parent().at(Step::RunHook, object)?;
    step(rustix::stdio::dup2_stdin(input))?;
    step(rustix::stdio::dup2_stdout(output))?;
    step(rustix::stdio::dup2_stderr(output))?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    sys::process::reset_signals();
    let error = match program {
        Program::Opened(descriptor) => {
            step(rustix::io::fcntl_setfd(descriptor, FdFlags::empty()))?;
            sys::process::close_all_but(&[descriptor.as_raw_fd()]).at(Step::RunHook, object)?;
            image.execute_descriptor(*descriptor)
        }
        Program::Path => {
            sys::process::close_all_but(&[]).at(Step::RunHook, object)?;
            image.execute()
        }
    };
    // Standard output is still the pipe to whoever runs the hook.
    let message = StageError::os(Step::RunHook, object, crate::sources::raw(&error)).cause;
    let _ = rustix::io::write(
        rustix::stdio::stdout(),
        format!("exec: {message}").as_bytes(),
    );
    Ok(())
}

/// Collects output and end; a hook that takes too long is killed with all that it started in its session's group.
fn finish(hook: &Hook, pid: i32, pidfd: &OwnedFd, output: &OwnedFd) -> Result<()> {
    let deadline = match hook.timeout_seconds {
        0 => None,
        seconds => Some(Instant::now() + Duration::from_secs(seconds.into())),
    };
    let mut said = Vec::new();
    let ended = wait(pidfd, output, deadline, &mut said).at(Step::RunHook, &hook.path)?;
    if !ended && let Some(group) = Pid::from_raw(pid) {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
        let _ = rustix::process::pidfd_send_signal(pidfd, Signal::KILL);
    }
    let status = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
        .at(Step::RunHook, &hook.path)?;
    let said = String::from_utf8_lossy(&said);
    let said = said.trim();
    let failed = |how: String| {
        let cause = if said.is_empty() {
            how
        } else {
            format!("{how}, said: {said}")
        };
        Err(StageError::new(Step::RunHook, &hook.path, cause))
    };
    if !ended {
        return failed(format!("not finished after {} s", hook.timeout_seconds));
    }
    match status.map(|status| (status.exit_status(), status.terminating_signal())) {
        Some((Some(0), _)) => Ok(()),
        Some((Some(code), _)) => failed(format!("exit status {code}")),
        Some((_, Some(signal))) => failed(format!("killed by signal {signal}")),
        _ => failed("it ended in an unknown way".to_owned()),
    }
}

/// True when the process has ended, false when the time is over.
fn wait(
    pidfd: &OwnedFd,
    output: &OwnedFd,
    deadline: Option<Instant>,
    said: &mut Vec<u8>,
) -> rustix::io::Result<bool> {
    let mut open = true;
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.map(|left| Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        });
        let mut polled = [
            PollFd::new(pidfd, PollFlags::IN),
            PollFd::new(output, PollFlags::IN),
        ];
        let watched = if open {
            &mut polled[..]
        } else {
            &mut polled[..1]
        };
        match rustix::event::poll(watched, timeout.as_ref()) {
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
            Ok(0) => return Ok(false),
            Ok(_) => {}
        }
        let ended = !polled[0].revents().is_empty();
        if open && !polled[1].revents().is_empty() {
            open = read_some(output, said)?;
        } else if ended {
            // What a process that it left behind still writes is not waited for.
            return Ok(true);
        }
    }
}

fn read_some(output: &OwnedFd, said: &mut Vec<u8>) -> rustix::io::Result<bool> {
    let mut buffer = [0u8; MAX_OUTPUT];
    let length = rustix::io::read(output, &mut buffer)?;
    said.extend_from_slice(&buffer[..length]);
    said.drain(..said.len().saturating_sub(MAX_OUTPUT));
    Ok(length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_put_together_around_status_and_pid() {
        let parts = ["{\"status\":\"", "\",\"pid\":", "}"].map(str::to_owned);
        assert_eq!(
            state(&parts, CREATING, 7).unwrap(),
            "{\"status\":\"creating\",\"pid\":7}"
        );
        assert!(state(&parts[..2], CREATING, 7).is_err());
    }

    #[test]
    fn hooks_run_by_point_then_in_their_order() {
        let hook = |path: &str, point: Point| Hook {
            path: path.into(),
            point: point.into(),
            ..Hook::default()
        };
        let hooks = [
            hook("a", Point::CreateRuntime),
            hook("b", Point::Prestart),
            hook("c", Point::Poststop),
            hook("d", Point::Prestart),
        ];
        let order: Vec<&str> = at(&hooks, &[Point::Prestart, Point::CreateRuntime])
            .map(|hook| hook.path.as_str())
            .collect();
        assert_eq!(order, ["b", "d", "a"]);
    }
}
