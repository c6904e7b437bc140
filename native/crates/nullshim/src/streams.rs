//! A process's streams: FIFOs of the client's, held open while the process "runs".

use std::fs::File;
use std::io::{Error, Result};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// The client opens its ends in the background, a moment before or after its request.
const PATIENCE: Duration = Duration::from_secs(2);

const PAUSE: Duration = Duration::from_micros(100);

/// Opens what isn't empty; closing is dropping.
///
/// # Errors
/// A path that is no FIFO with a reader.
pub fn open(stdin: &str, stdout: &str, stderr: &str) -> Result<Vec<File>> {
    let mut open = Vec::new();
    if !stdin.is_empty() {
        open.push(fifo(stdin, OFlags::RDONLY)?);
    }
    for path in [stdout, stderr] {
        if !path.is_empty() {
            open.push(fifo(path, OFlags::WRONLY)?);
        }
    }
    Ok(open)
}

fn fifo(path: &str, access: OFlags) -> Result<File> {
    if !Path::new(path).is_absolute() {
        return Err(Error::other(format!(
            "open the streams: {path}: no path of a FIFO"
        )));
    }
    let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => return Ok(file.into()),
            Err(Errno::NXIO) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            Err(error) => return Err(Error::other(format!("open the streams: {path}: {error}"))),
        }
    }
}
