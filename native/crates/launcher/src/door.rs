//! `start` for a class with `api = "grpc"`: who may be answered so, and with what. The daemon serves gRPC, on a socket of its own
//! for each pod; the keeper knows where, as soon as the daemon has greeted it.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wire::Message;
use wire::keeper::GrpcAddress;

use crate::argv::Call;
use crate::problem::{Outcome, Problem};
use crate::{socket, ttrpc};

/// File of the bundle that names the keeper's own socket, where `address` can't: it is what containerd reads.
pub const KEEPER_FILE: &str = "keeper";

/// For a daemon to start and to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// For containerd to say its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(5);

/// Longest answer of `containerd --version` looked at.
const LONGEST_VERSION: u64 = 4096;

/// Refuses the versions of containerd that can't use a shim over gRPC. A program that isn't called containerd (k3s has it built in)
/// is taken at its word by being answered.
///
/// # Errors
/// It is such a version; the remedy is ttrpc.
pub fn check_containerd(call: &Call, is_bootstrap: bool, class: &str) -> Outcome<()> {
    let refuse = |version: &str, cause: &str| {
        Problem::new("serve gRPC", version, cause).remedy(format!(
            "set api = \"ttrpc\" in [class.{class}] of brig.toml"
        ))
    };
    const BROKEN: &str = "takes the first idle moment of a gRPC shim's connection for the shim's end and deletes the container under way";
    if std::env::var_os("MAX_SHIM_VERSION").is_none() {
        return Err(refuse("containerd 1.6", "knows shims over ttrpc only"));
    }
    if is_bootstrap {
        return Err(refuse("containerd 2.3 or later", BROKEN));
    }
    match version_of(&mut Command::new(&call.publish_binary)) {
        Some(version) if major(&version).is_some_and(|major| major >= 2) => {
            Err(refuse(&format!("containerd {version}"), BROKEN))
        }
        _ => Ok(()),
    }
}

/// What a containerd says of itself: `containerd <import path> <version> <revision>`.
fn version_of(program: &mut Command) -> Option<String> {
    let mut child = program
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let said = child.stdout.take().and_then(read_in_time);
    // It has said all it had to, or is not going to.
    let _ = child.kill();
    let _ = child.wait();
    parse_version(&said?)
}

fn read_in_time(mut output: std::process::ChildStdout) -> Option<String> {
    use rustix::event::{PollFd, PollFlags, Timespec};
    let patience = Timespec {
        tv_sec: VERSION_PATIENCE.as_secs().cast_signed(),
        tv_nsec: 0,
    };
    let ready = rustix::io::retry_on_intr(|| {
        rustix::event::poll(&mut [PollFd::new(&output, PollFlags::IN)], Some(&patience))
    });
    if ready != Ok(1) {
        return None;
    }
    // One line, written at once.
    let mut line = vec![0; usize::try_from(LONGEST_VERSION).ok()?];
    let count = output.read(&mut line).ok()?;
    Some(String::from_utf8_lossy(&line[..count]).into_owned())
}

fn parse_version(said: &str) -> Option<String> {
    let mut words = said.split_whitespace();
    if words.next() != Some("containerd") {
        return None;
    }
    let version = words.nth(1)?.trim_start_matches('v');
    major(version).map(|_| version.to_owned())
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

/// What `start` prints: containerd 1.7 takes version 2 with gRPC, a bare path, and calls version 3 of the task service.
///
/// # Errors
/// The daemon doesn't serve the pod in time, or refuses it.
pub fn answer(keeper_socket: &Path) -> Outcome<String> {
    let path = address(keeper_socket)?;
    Ok(format!(
        r#"{{"version":2,"address":"{path}","protocol":"grpc"}}"#
    ))
}

fn address(keeper_socket: &Path) -> Outcome<String> {
    let fault =
        |cause: &dyn std::fmt::Display| Problem::at("find the gRPC socket", keeper_socket, cause);
    let Some(socket) = socket::connect(keeper_socket)? else {
        return Err(fault(&"the keeper is not there"));
    };
    let deadline = Instant::now() + PATIENCE;
    let answer = ttrpc::call(
        &socket,
        "brig.keeper.v1.Control",
        "GrpcAddress",
        &[],
        deadline,
    );
    match answer {
        Ok(ttrpc::Answer::Payload(payload)) => {
            let path = GrpcAddress::decode(payload.as_slice())
                .map_err(|error| fault(&error))?
                .path;
            if path.contains(['"', '\\']) || path.contains(char::is_control) {
                return Err(fault(&format!("{path:?} can't stand in the answer"))
                    .remedy("set run in [paths] of brig.toml to a plain path"));
            }
            Ok(path)
        }
        Ok(ttrpc::Answer::Status(_, message)) => {
            Err(fault(&message).remedy("see brigd.log in the run directory"))
        }
        Err(error) => Err(fault(&format!("the daemon does not serve it: {error}"))
            .remedy("see brigd.log in the run directory")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_read_as_containerds_say_them() {
        for (said, version) in [
            (
                "containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6\n",
                Some("1.7.24~ds1"),
            ),
            (
                "containerd github.com/containerd/containerd/v2 2.1.9+unknown \n",
                Some("2.1.9+unknown"),
            ),
            (
                "containerd github.com/containerd/containerd v1.7.1 abc\n",
                Some("1.7.1"),
            ),
            ("k3s version v1.30.1+k3s1 (80978b5b)\n", None),
            ("", None),
        ] {
            assert_eq!(parse_version(said).as_deref(), version, "{said}");
        }
    }

    #[test]
    fn a_containerd_is_asked_for_its_version() {
        let told = |script: &str| version_of(Command::new("/bin/sh").args(["-c", script]));
        let version = told("echo containerd github.com/x 2.1.9 rev");
        assert_eq!(version.as_deref().and_then(major), Some(2));
        assert_eq!(told("echo nothing of the kind; exit 1"), None);
        assert_eq!(told("exit 1"), None);
        assert_eq!(
            version_of(&mut Command::new("/nonexistent/containerd")),
            None
        );
    }

    proptest! {
        #[test]
        fn any_answer_of_a_containerd_gets_an_answer(said in "(containerd| |\n|v|1|2|\\.|x){0,12}") {
            let _ = parse_version(&said);
        }
    }
}
