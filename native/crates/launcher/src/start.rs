//! `start`: sees to it that the pod of a container has a keeper and prints where it listens. The keeper is forked, not executed:
//! it goes on in this very program, in containerd's mount namespace, after everything of the caller's has been let go.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use keeper::timeline::Timeline;
use keeper::{Birth, KeeperArgs};

use crate::argv::Call;
use crate::installation::Installation;
use crate::problem::{Outcome, Problem};
use crate::{annotations, bootstrap, door, lock, socket, starter};

/// Longest `config.json` looked at; a longer one gets a keeper of its own, and brigd's refusal at Create.
const LONGEST_CONFIG: u64 = 16 << 20;

/// Carries out `start` in the bundle (the working directory); the answer is the address to print.
///
/// # Errors
/// Told to containerd, which shows it to its user.
pub fn run(call: Call, class_name: String) -> Outcome<String> {
    let installation = Installation::current()?;
    let mut timeline = Timeline::open(&installation.run);
    timeline.note("containerd", format_args!("start: begins"));
    let input = bootstrap::parse(&bootstrap::read_stdin()?, &call.id, &call.namespace)?;
    let grpc = installation.grpc_classes.contains(&class_name);
    if grpc {
        door::check_containerd(&call, input.is_bootstrap, &class_name)?;
    }
    let events_address = events_address(&call, input.events_address);
    let cgroups = match &input.shim_cgroup {
        Some(path) => shim_cgroups(path)?,
        None => Vec::new(),
    };
    let bundle = std::env::current_dir().map_err(|error| {
        Problem::new("find the bundle", "working directory", error)
            .remedy("containerd removed it meanwhile; run again")
    })?;
    let group = group_of(&bundle).unwrap_or_else(|| call.id.clone());

    let sockets = input.socket_dir.as_deref().unwrap_or(&installation.sockets);
    let socket_path = socket::path(sockets, &call.address, &call.namespace, &group)?;
    socket::private_dir(sockets)?;
    socket::private_dir(&installation.run)?;

    let address = format!("unix://{}", socket_path.display());
    write(
        &bundle,
        if grpc { door::KEEPER_FILE } else { "address" },
        &address,
    )?;
    if let Some(listener) = take_socket(&installation.run, &socket_path)? {
        timeline.note("launcher", format_args!("start: has the socket"));
        let served = starter::ensure(installation).and_then(|_| {
            fork_keeper(|birth| KeeperArgs {
                listener,
                birth,
                socket_path: socket_path.clone(),
                containerd_address: call.address,
                namespace: call.namespace,
                group,
                events_address,
                class_name,
                grpc,
                cgroups,
                run_dir: installation.run.clone(),
                floor_dir: installation.floor.clone(),
                bundle: bundle.clone(),
                debug: call.debug,
                start_daemon: starter::start_daemon,
            })
        });
        if let Err(problem) = served {
            socket::remove_dead(&installation.run, &socket_path);
            return Err(problem);
        }
    }
    let answer = if grpc {
        let answer = door::answer(&socket_path)?;
        write(&bundle, "address", &answer)?;
        answer
    } else {
        address
    };
    timeline.note("launcher", format_args!("start: done"));
    Ok(answer)
}

/// The directories of the cgroup that the options want for the shim, which others have made.
fn shim_cgroups(path: &Path) -> Outcome<Vec<PathBuf>> {
    let found = keeper::cgroup_dirs(path);
    if found.is_empty() {
        return Err(
            Problem::at("enter shim_cgroup", path, "no hierarchy has such a cgroup")
                .remedy("make it before, or leave shim_cgroup out of the runtime options"),
        );
    }
    Ok(found)
}

/// Where events go: containerd says it by a variable, from 2.3 on also on standard input.
fn events_address(call: &Call, from_input: Option<PathBuf>) -> PathBuf {
    match std::env::var_os("TTRPC_ADDRESS") {
        Some(path) if !path.is_empty() => path.into(),
        _ => from_input.unwrap_or_else(|| PathBuf::from(format!("{}.ttrpc", call.address))),
    }
}

/// The group that the bundle's `config.json` names. A sandbox of containerd's sandbox API has no such file.
fn group_of(bundle: &Path) -> Option<String> {
    let mut config = Vec::new();
    File::open(bundle.join("config.json"))
        .ok()?
        .take(LONGEST_CONFIG)
        .read_to_end(&mut config)
        .ok()?;
    annotations::group(&config)
}

/// The pod's socket if nobody serves it yet; a dead keeper's is replaced.
fn take_socket(run: &Path, socket_path: &Path) -> Outcome<Option<OwnedFd>> {
    let _lock = lock::take(&run.join(lock::OF_SOCKETS))?;
    if socket::connect(socket_path)?.is_some() {
        return Ok(None);
    }
    socket::listen(socket_path).map(Some)
}

/// A file of the bundle: `address` is what containerd 1.6 and 1.7 read after their own restart.
fn write(bundle: &Path, name: &str, address: &str) -> Outcome<()> {
    let (file, making) = (bundle.join(name), bundle.join(format!(".{name}.new")));
    let write = || -> std::io::Result<()> {
        let mut new = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&making)?;
        new.write_all(address.as_bytes())?;
        fs::rename(&making, &file)
    };
    write().map_err(|error| Problem::at("write the address", &file, error))
}

/// Returns in the caller alone; `args` are for the keeper.
fn fork_keeper(args: impl FnOnce(Birth) -> KeeperArgs) -> Outcome<()> {
    match keeper::fork() {
        Err(error) => Err(Problem::new("start the keeper", "fork", error)),
        Ok(None) => Ok(()),
        Ok(Some(birth)) => {
            let args = args(birth);
            if let Err(problem) = let_go(&args.listener) {
                // Standard error is still containerd's here, or there is nothing left to tell it to.
                let _ = writeln!(std::io::stderr(), "{problem}");
                // Nobody will ever serve it.
                let _ = fs::remove_file(&args.socket_path);
                sys::process::exit_now(1);
            }
            keeper::run(args)
        }
    }
}

/// Leaves the caller's session, descriptors and directory: containerd reads this program's output to its end.
fn let_go(listener: &OwnedFd) -> Outcome<()> {
    let fault = |object: &'static str| {
        move |error: rustix::io::Errno| Problem::new("start the keeper", object, error)
    };
    raise_oom_score();
    rustix::process::setsid().map_err(fault("session"))?;
    rustix::process::chdir("/").map_err(fault("working directory"))?;
    let null = rustix::fs::open(
        "/dev/null",
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(fault("/dev/null"))?;
    rustix::stdio::dup2_stdin(&null)
        .and_then(|()| rustix::stdio::dup2_stdout(&null))
        .and_then(|()| rustix::stdio::dup2_stderr(&null))
        .map_err(fault("standard descriptors"))?;
    drop(null);
    sys::process::close_all_but(&[listener.as_raw_fd()])
        .map_err(|error| Problem::new("start the keeper", "descriptors", error))
}

/// One above containerd's, which this process inherited, so that the kernel's choice falls on a shim before it.
fn raise_oom_score() {
    const FILE: &str = "/proc/self/oom_score_adj";
    if let Ok(own) = fs::read_to_string(FILE)
        && let Ok(own) = own.trim().parse::<i32>()
    {
        // Raising is always allowed; 1000 is the most there is.
        let _ = fs::write(FILE, (own + 1).min(1000).to_string());
    }
}
