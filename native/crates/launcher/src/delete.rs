//! `delete`: cleans up after one container, whether or not anything of Brig still lives, and always answers: containerd
//! takes silence for success with status 0, and keeps the bundle of a `delete` that fails.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use keeper::leftovers::{self, Leftovers};
use keeper::timeline::Timeline;
use rustix::event::{PollFd, PollFlags, Timespec};
use sys::process::Fork;

use crate::argv::Call;
use crate::installation::Installation;
use crate::protobuf::Writer;
use crate::{door, lock, socket, ttrpc};

/// containerd kills a `delete` after 5 s.
const PATIENCE: Duration = Duration::from_secs(3);

/// Of which this is for killing by the record.
const RESERVE: Duration = Duration::from_millis(400);

/// The keeper's own service beside containerd's.
const SERVICE: &str = "brig.keeper.v1.Control";

/// What a killed process leaves.
const KILLED: u64 = 137;

/// NOT_FOUND of google.rpc.Code: the keeper lives and has nothing of the container.
const NOT_FOUND: u64 = 5;

/// Carries out `delete`; the answer is a serialized `containerd.task.v2.DeleteResponse`.
pub fn run(call: &Call) -> Vec<u8> {
    let deadline = Instant::now() + PATIENCE;
    let bundle = if call.bundle.is_empty() {
        PathBuf::from(".")
    } else {
        PathBuf::from(&call.bundle)
    };
    let mut timeline = Installation::current()
        .ok()
        .map(|installation| Timeline::open(&installation.run));
    let mut note = |whose, what| {
        if let Some(timeline) = &mut timeline {
            timeline.note(whose, format_args!("delete: {what}"));
        }
    };
    note("containerd", "begins");
    let response = match ask_keeper(call, &bundle, deadline) {
        Some(ttrpc::Answer::Payload(response)) if !response.is_empty() => response,
        Some(ttrpc::Answer::Status(NOT_FOUND, _)) => killed_now(0),
        _ => {
            let response = clear_leftovers(call, &bundle, deadline);
            if let (Some(socket_path), Ok(installation)) =
                (recorded_socket(&bundle), Installation::current())
            {
                socket::remove_dead(&installation.run, &socket_path);
            }
            response
        }
    };
    note("launcher", "done");
    response
}

/// Without a keeper: by the pod's record, in a process of its own, since what doesn't die in time must not hold up the answer.
fn clear_leftovers(call: &Call, bundle: &Path, deadline: Instant) -> Vec<u8> {
    let Ok(installation) = Installation::current() else {
        return killed_now(0);
    };
    let run_dir = &installation.run;
    let Some(found) = Leftovers::find(run_dir, &call.address, &call.namespace, &call.id) else {
        return killed_now(0);
    };
    if let Some(keeper) = found.dead_keeper() {
        // containerd puts it into its log: the status alone doesn't say why.
        let _ = writeln!(
            std::io::stderr(),
            "container {}: its keeper (process {keeper}) is dead, and with it what still ran of the container; what is left of \
             it is removed",
            call.id
        );
    }
    match sys::process::fork() {
        Err(_) => {
            let _ = found.clear();
        }
        Ok(Fork::Parent(child)) => await_end(child, deadline),
        Ok(Fork::Child) => {
            let cleared = close_output().is_ok() && found.clear().is_ok();
            if cleared && found.dead_keeper().is_some() {
                let hooks = match lock::take(&run_dir.join(lock::OF_RECORDS)) {
                    Ok(_lock) => leftovers::forget(found.pod_dir(), &call.id),
                    Err(_) => Ok(None),
                };
                // They may take longer than containerd waits for the answer, which doesn't wait for them.
                if let Ok(Some(hooks)) = hooks {
                    leftovers::run_poststop(&hooks, bundle);
                }
            }
            sys::process::exit_now(0)
        }
    }
    let Some(init) = found.init() else {
        return killed_now(0);
    };
    let pid = u64::try_from(init.pid).unwrap_or(0);
    if init.exited {
        let (seconds, nanos) = (init.exited_at_seconds, init.exited_at_nanos);
        return response(
            pid,
            init.exit_status.into(),
            u64::try_from(seconds).unwrap_or(0),
            u64::try_from(nanos).unwrap_or(0),
        );
    }
    killed_now(pid)
}

/// containerd reads this program's output to its end, whoever holds it.
fn close_output() -> rustix::io::Result<()> {
    let null = rustix::fs::open(
        "/dev/null",
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)
}

fn await_end(child: i32, deadline: Instant) {
    let Some(child) = rustix::process::Pid::from_raw(child) else {
        return;
    };
    let Ok(held) = rustix::process::pidfd_open(child, rustix::process::PidfdFlags::empty()) else {
        return;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = Timespec {
        tv_sec: left.as_secs().cast_signed(),
        tv_nsec: left.subsec_nanos().into(),
    };
    let _ = rustix::io::retry_on_intr(|| {
        rustix::event::poll(&mut [PollFd::new(&held, PollFlags::IN)], Some(&timeout))
    });
}

/// The keeper's answer, if it is there and answers in time.
fn ask_keeper(call: &Call, bundle: &Path, deadline: Instant) -> Option<ttrpc::Answer> {
    let socket_path = recorded_socket(bundle)?;
    let socket = socket::connect(&socket_path).ok()??;
    let request = Writer::default().text(1, &call.id).done();
    // Time is left for what follows where it doesn't answer.
    ttrpc::call(&socket, SERVICE, "Delete", &request, deadline - RESERVE).ok()
}

/// The keeper's socket, which `start` wrote into the bundle.
fn recorded_socket(bundle: &Path) -> Option<PathBuf> {
    let mut address = String::new();
    File::open(bundle.join(door::KEEPER_FILE))
        .or_else(|_| File::open(bundle.join("address")))
        .ok()?
        .take(4096)
        .read_to_string(&mut address)
        .ok()?;
    Some(PathBuf::from(address.trim().strip_prefix("unix://")?))
}

#[expect(clippy::disallowed_methods, reason = "told to containerd")]
fn killed_now(pid: u64) -> Vec<u8> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    response(pid, KILLED, since.as_secs(), since.subsec_nanos().into())
}

/// Field numbers of containerd's task.proto.
fn response(pid: u64, status: u64, seconds: u64, nanos: u64) -> Vec<u8> {
    let time = Writer::default().number(1, seconds).number(2, nanos).done();
    Writer::default()
        .number(1, pid)
        .number(2, status)
        .bytes(3, &time)
        .done()
}
