//! A lock between launchers: whoever holds it may bind a socket or start brigd. It is gone with its holder.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::problem::{Outcome, Problem};

/// In the run directory: who binds or removes the pods' sockets holds it.
pub const OF_SOCKETS: &str = "start.lock";

/// In the run directory: who changes a dead keeper's record holds it.
pub const OF_RECORDS: &str = "delete.lock";

/// Its holders need well under a millisecond; one that is stopped must not stop all others for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(1);

/// Takes the lock that `file` stands for; released when the result is dropped here and in every process forked meanwhile.
///
/// # Errors
/// The file can't be made, or another holder keeps it for 5 s.
pub fn take(file: &Path) -> Outcome<File> {
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(file)
        .map_err(|error| Problem::at("open the lock", file, error))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < deadline => {
                std::thread::sleep(PAUSE)
            }
            Err(Errno::WOULDBLOCK) => {
                return Err(
                    Problem::at("take the lock", file, "another process keeps it for 5 s")
                        .remedy("find its holder in /proc/locks; it may be stopped"),
                );
            }
            Err(error) => return Err(Problem::at("take the lock", file, error)),
        }
    }
}
