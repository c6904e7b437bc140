//! `start`: forks the server, which listens before containerd is told where.

use std::collections::HashMap;
use std::io::{Error, Result};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use sys::process::Fork;

use crate::events::Publisher;
use crate::server;
use crate::task::Task;

/// Where containerd's own shims have their sockets.
const SOCKETS: &str = "/run/containerd/s";

/// Returns in the calling process alone; the answer is the address to print.
pub fn run(options: &HashMap<String, String>) -> Result<String> {
    let option = |name: &str| {
        options
            .get(name)
            .cloned()
            .ok_or_else(|| Error::other(format!("read the command line: -{name}: it is missing")))
    };
    let (namespace, id) = (option("namespace")?, option("id")?);
    let events_address = match std::env::var_os("TTRPC_ADDRESS") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(option("address")? + ".ttrpc"),
    };
    // No other process has this pid while this one has it, and whatever an earlier one left is nobody's.
    let socket = Path::new(SOCKETS).join(format!("null-{}", std::process::id()));
    let listener = listen(&socket)?;
    let address = format!("unix://{}", socket.display());
    std::fs::write("address", &address)?;
    match sys::process::fork()? {
        Fork::Parent(_) => Ok(address),
        Fork::Child => {
            let served = let_go(&listener).and_then(|()| {
                let task = Task::new(id, std::process::id());
                server::run(
                    &listener,
                    task,
                    Publisher::new(namespace, events_address),
                    &socket,
                )
            });
            sys::process::exit_now(i32::from(served.is_err()));
        }
    }
}

fn listen(socket: &Path) -> Result<UnixListener> {
    std::fs::create_dir_all(SOCKETS)?;
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    rustix::process::umask(Mode::from_raw_mode(0o177));
    UnixListener::bind(socket)
}

/// containerd reads this program's output to its end, so nothing of it may stay open in the server.
fn let_go(listener: &UnixListener) -> Result<()> {
    rustix::process::setsid()?;
    rustix::process::chdir("/")?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    drop(null);
    sys::process::close_all_but(&[listener.as_raw_fd()])
}
