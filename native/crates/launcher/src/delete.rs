//! `delete`: cleans up after one container, whether or not anything of Brig still lives, and always answers: containerd
//! takes silence for success with status 0, and keeps the bundle of a `delete` that fails.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::argv::Call;
use crate::protobuf::Writer;
use crate::{socket, ttrpc};

/// containerd kills a `delete` after 5 s.
const PATIENCE: Duration = Duration::from_secs(3);

/// The keeper's own service beside containerd's.
const SERVICE: &str = "brig.keeper.v1.Control";

/// What a killed process leaves.
const KILLED: u64 = 137;

/// Carries out `delete`; the answer is a serialized `containerd.task.v2.DeleteResponse`.
pub fn run(call: &Call) -> Vec<u8> {
    let deadline = Instant::now() + PATIENCE;
    let bundle = if call.bundle.is_empty() {
        PathBuf::from(".")
    } else {
        PathBuf::from(&call.bundle)
    };
    ask_keeper(call, &bundle, deadline).unwrap_or_else(|| response(0, KILLED, SystemTime::now()))
}

/// The keeper's answer, if it is there and answers in time.
fn ask_keeper(call: &Call, bundle: &Path, deadline: Instant) -> Option<Vec<u8>> {
    let socket_path = recorded_socket(bundle)?;
    let socket = socket::connect(&socket_path).ok()??;
    let request = Writer::default().text(1, &call.id).done();
    match ttrpc::call(&socket, SERVICE, "Delete", &request, deadline).ok()? {
        ttrpc::Answer::Payload(response) if !response.is_empty() => Some(response),
        _ => None,
    }
}

/// The socket that `start` wrote into the bundle.
fn recorded_socket(bundle: &Path) -> Option<PathBuf> {
    let mut address = String::new();
    File::open(bundle.join("address"))
        .ok()?
        .take(4096)
        .read_to_string(&mut address)
        .ok()?;
    Some(PathBuf::from(address.trim().strip_prefix("unix://")?))
}

fn response(pid: u64, status: u64, at: SystemTime) -> Vec<u8> {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = Writer::default()
        .number(1, since.as_secs())
        .number(2, since.subsec_nanos().into())
        .done();
    Writer::default()
        .number(1, pid)
        .number(2, status)
        .bytes(3, &time)
        .done()
}
