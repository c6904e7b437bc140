//! The barrier: everything is applied, the keeper decides when the program starts. After it there is nothing left but execve
//! (and, for a filter that would forbid the waiting itself, its installation).

use std::convert::Infallible;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use sys::exec::Image;
use wire::Message;
use wire::plan::hook::Point;

use super::{Child, credentials};
use crate::errors::{At, Result, StageError, Step, words};
use crate::hooks::{self, CREATED, Program};
use crate::link::Report;
use crate::seccomp::{self, Filter};

/// Exit codes of a program that can't be executed, as shells have them.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// Installs the filters, reports, waits, executes. Answers only if something fails before the barrier.
pub fn stand(
    child: &mut Child<'_>,
    image: &Image,
    filters: &[Filter],
    kept_admin: bool,
) -> Result<Infallible> {
    let process = child.process;
    let barrier = child.descriptors.barrier.as_raw_fd();
    let link = child.link.0.as_raw_fd();
    sys::process::close_all_but(&[barrier, link]).at(Step::StartChild, "close descriptors")?;
    sys::process::reset_signals();
    let later = !waiting_is_allowed(filters, link, barrier, kept_admin);
    if later && (kept_admin || filters.iter().any(|filter| filter.listener_handle != 0)) {
        return Err(StageError::new(Step::InstallSeccomp, "filter", "it forbids, or asks its agent about, read or write").remedy(
            "allow read, write and capset, or set noNewPrivileges and use no listener, so that it can be installed last",
        ));
    }
    let mut listener = None;
    if !later {
        listener = install(filters)?;
        if kept_admin {
            credentials::settle(process)?;
        }
    }
    let number = listener.as_ref().map_or(-1, OwnedFd::as_raw_fd);
    // One write(2), which the filters have been found to allow.
    let mut report = [Report::Standing as u8, u8::from(later), 0, 0, 0, 0];
    report[2..].copy_from_slice(&number.to_ne_bytes());
    rustix::io::write(&child.link.0, &report).at(Step::StartChild, "link")?;
    wait(&child.descriptors.barrier);
    if let Err(error) = run_start_hooks(child) {
        fail(&child.descriptors.barrier, &error);
    }
    if later && let Err(error) = install(filters) {
        fail(&child.descriptors.barrier, &error);
    }
    let error = image.execute();
    let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let command = process.args.first().map(String::as_str).unwrap_or_default();
    let mut told = StageError::os(Step::Exec, command, errno);
    told.cause = format!("exec {command}: {}", words(errno));
    if errno == Errno::NOENT {
        told = told.remedy("the file is there, but not the interpreter or loader that it names");
    }
    fail(&child.descriptors.barrier, &told)
}

/// Inside the container, by its process, under all that it is under.
fn run_start_hooks(child: &Child<'_>) -> Result<()> {
    let mut hooks = hooks::at(child.start_hooks.hooks, &[Point::StartContainer]).peekable();
    if hooks.peek().is_none() {
        return Ok(());
    }
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let state = hooks::state(child.start_hooks.state_parts, CREATED, pid)?;
    for hook in hooks {
        hooks::run(hook, &Program::Path, &state)?;
    }
    Ok(())
}

fn waiting_is_allowed(filters: &[Filter], link: i32, barrier: i32, settle: bool) -> bool {
    let calls = [
        (libc::SYS_write, [link as u64, 0, 6, 0, 0, 0]),
        (libc::SYS_read, [barrier as u64, 0, 1, 0, 0, 0]),
    ];
    calls
        .into_iter()
        .all(|(number, arguments)| seccomp::all_allow(filters, number, arguments))
        && (!settle || seccomp::all_allow(filters, libc::SYS_capset, [0; 6]))
}

fn install(filters: &[Filter]) -> Result<Option<OwnedFd>> {
    let mut listener = None;
    for filter in filters {
        let object = format!("filter of {} instructions", filter.program.len());
        if let Some(made) =
            sys::seccomp::install(&filter.program, filter.flags).at(Step::InstallSeccomp, object)?
        {
            listener = Some(made);
        }
    }
    Ok(listener)
}

/// Until the keeper says 'G'. Its end of the barrier closed: the process is not wanted any more, or nobody is left.
fn wait(barrier: &OwnedFd) {
    let mut answer = [0u8];
    loop {
        match rustix::io::read(barrier, &mut answer) {
            Ok(1) if answer[0] == b'G' => return,
            Err(Errno::INTR) => {}
            _ => sys::process::exit_now(1),
        }
    }
}

/// Tells the keeper by one frame and ends.
fn fail(barrier: &OwnedFd, error: &StageError) -> ! {
    let body = error.to_failure().encode_to_vec();
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(&body);
    // If even that is forbidden the exit code has to do.
    let _ = rustix::io::write(barrier, &frame);
    let missing =
        error.errno == Errno::NOENT.raw_os_error() || error.errno == Errno::NOTDIR.raw_os_error();
    sys::process::exit_now(if missing { NOT_FOUND } else { NOT_EXECUTABLE })
}
