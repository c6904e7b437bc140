//! The programs that live for milliseconds: the shim binary's `start`, `delete`, `-info` and `-v`, the starter of brigd,
//! and the thin client behind the `brig` command. One program, told apart by the name it is called by:
//!
//! * `containerd-shim-<class>-v2`: a shim for the runtime class `<class>`;
//! * `brigd`: the daemon, in the foreground;
//! * `brig`, or anything else: the command line.

mod annotations;
mod argv;
mod bootstrap;
mod client;
mod delete;
mod door;
#[cfg(fuzzing)]
pub mod fuzzing;
mod info;
mod installation;
mod lock;
mod placement;
mod problem;
mod protobuf;
mod rehearsal;
mod socket;
mod start;
mod starter;
mod supervisor;
mod ttrpc;

use std::ffi::OsString;
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;

use argv::Request;
use installation::Installation;
use problem::{Outcome, Problem};

/// Exit status of what has failed.
const FAILURE: u8 = 1;

/// Dispatches on the name the program was called by; the exit status.
pub fn main(args: Vec<OsString>) -> u8 {
    let mut args = args.into_iter();
    let called = args.next().unwrap_or_default();
    let name = Path::new(&called)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    let done = match class_of(&name) {
        Some(class) => shim(&name, class, &args),
        None if name == "brigd" => brigd(&args),
        None => client::run(args),
    };
    done.unwrap_or_else(|problem| {
        let _ = writeln!(std::io::stderr(), "{name}: {problem}");
        FAILURE
    })
}

/// The runtime class in a shim's name.
fn class_of(name: &str) -> Option<&str> {
    let class = name.strip_prefix("containerd-shim-")?.strip_suffix("-v2")?;
    (!class.is_empty()).then_some(class)
}

fn shim(name: &str, class: &str, args: &[String]) -> Outcome<u8> {
    match argv::parse(args)? {
        Request::Start(call) => print(start::run(call, class.to_owned())?.as_bytes()),
        Request::Delete(call) => print(&delete::run(&call)),
        Request::Info => {
            // The options on standard input change nothing in the answer, but their writer must not meet a closed pipe.
            bootstrap::read_stdin()?;
            print(&info::runtime_info(name));
        }
        Request::Version => print(version(name).as_bytes()),
    }
    Ok(0)
}

fn brigd(args: &[String]) -> Outcome<u8> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let aot_output = match words.as_slice() {
        [] => None,
        ["--aot-output", file] => Some(*file),
        ["--rehearse"] => {
            print(rehearsal::run(1)?.as_bytes());
            return Ok(0);
        }
        ["--rehearse", times] => {
            print(rehearsal::run(rehearsal::times(times)?)?.as_bytes());
            return Ok(0);
        }
        ["--supervise"] => return Err(supervisor::run(Installation::current()?)),
        ["-v" | "--version"] => {
            print(version("brigd").as_bytes());
            return Ok(0);
        }
        ["-h" | "--help"] => {
            print(BRIGD_HELP.as_bytes());
            return Ok(0);
        }
        [other, ..] => {
            return Err(Problem::new(
                "read the command line",
                *other,
                "brigd takes no such argument",
            )
            .remedy("brigd --help"));
        }
    };
    Err(starter::foreground(
        Installation::current()?,
        handed_socket(),
        aot_output,
    ))
}

const BRIGD_HELP: &str = "\
usage: brigd [--aot-output FILE | --rehearse [TIMES] | --supervise]

Runs Brig's daemon in the foreground, for a service manager; elsewhere it is started on demand. Its configuration is
etc/brig/brig.toml beneath its prefix, or the file that BRIG_CONFIG names.

  --aot-output FILE   write the cache that makes later starts quick, at the end of this run (scripts/install does it)
  --rehearse [TIMES]  run no daemon but one small container, or so many one after another, through the one that is installed, and
                      say what each step of the last took
  --supervise         start the daemon, and again whenever it dies, on the listening socket that is standard input: how launchers
                      and keepers start it, not for use by hand
";

/// The socket of a service manager (sd_listen_fds(3)): descriptor 3, if it is for this process.
fn handed_socket() -> Option<OwnedFd> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    if number("LISTEN_PID") != Some(std::process::id()) || number("LISTEN_FDS") != Some(1) {
        return None;
    }
    // SAFETY: the protocol of LISTEN_FDS hands descriptor 3 to this process, and nothing has been opened here before.
    Some(unsafe { OwnedFd::from_raw_fd(3) })
}

fn version(name: &str) -> String {
    format!("{name}: version {}\n", env!("CARGO_PKG_VERSION"))
}

/// A caller that doesn't read must not change the outcome.
fn print(bytes: &[u8]) {
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_class() {
        assert_eq!(class_of("containerd-shim-brig-v2"), Some("brig"));
        assert_eq!(class_of("containerd-shim-brig-vm-v2"), Some("brig-vm"));
        for other in [
            "brig",
            "brigd",
            "containerd-shim--v2",
            "containerd-shim-brig-v1",
        ] {
            assert_eq!(class_of(other), None, "{other}");
        }
    }
}
