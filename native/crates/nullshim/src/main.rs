//! The null shim: answers containerd at once and does nothing. It starts no process, mounts nothing and makes no cgroup; what
//! remains of a container's life under it is what containerd, its client and the kernel's sockets cost. `scripts/bench` takes that
//! from the figures of shims that do work. It is an instrument and never installed.
//!
//! * A container's process exits with 0 as soon as it is started, unless the container's id (for an exec: its exec id) begins with
//!   `hold-`: that one "runs" until it is killed.
//! * Each container has a server of its own; pods aren't grouped. Every pid told is the server's.
//! * Streams are FIFOs, opened and closed; nothing is read or written. The bundle isn't looked at.
//! * Events that containerd doesn't take are lost.

#![allow(
    clippy::disallowed_methods,
    reason = "it measures and tells, and decides nothing"
)]

mod events;
mod frames;
mod messages;
mod server;
mod start;
mod streams;
mod task;

use std::collections::HashMap;
use std::io::{Error, Read, Result, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use prost::Message;

use messages::{DeleteResponse, RuntimeInfo};

/// What a task that `delete` finds gone is said to have ended with: SIGKILL.
const KILLED: u32 = 137;

fn main() -> ExitCode {
    let mut stdout = std::io::stdout();
    let done = answer(std::env::args().skip(1)).and_then(|answer| {
        stdout.write_all(&answer)?;
        stdout.flush()
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "null shim: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Carries out one call of the shim's binary; the answer goes to standard output.
fn answer(args: impl Iterator<Item = String>) -> Result<Vec<u8>> {
    let (mut options, mut command) = (HashMap::new(), None);
    let mut args = args;
    while let Some(arg) = args.next() {
        match arg.strip_prefix('-') {
            None => command = Some(arg),
            Some("info") => command = Some("info".to_owned()),
            Some("debug") => {}
            Some(option) => {
                let value = args.next().unwrap_or_default();
                options.insert(option.to_owned(), value);
            }
        }
    }
    match command.as_deref() {
        Some("start") => {
            drain_stdin()?;
            start::run(&options).map(String::into_bytes)
        }
        Some("delete") => Ok(DeleteResponse {
            pid: 0,
            exit_status: KILLED,
            exited_at: Some(SystemTime::now().into()),
        }
        .encode_to_vec()),
        Some("info") => {
            drain_stdin()?;
            Ok(RuntimeInfo {
                name: env!("CARGO_BIN_NAME").into(),
            }
            .encode_to_vec())
        }
        other => Err(Error::other(format!(
            "read the command line: {}: no such subcommand (known are start and delete)",
            other.unwrap_or("nothing")
        ))),
    }
}

/// containerd writes options there and waits until they are taken.
fn drain_stdin() -> Result<()> {
    std::io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
