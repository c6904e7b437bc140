//! Bytes between a process and its client: spliced between pipes without copying, copied where a terminal is an end.
//! A pump moves what it can and stops; it is edge-triggered at both ends, so whichever end changes runs it again.

use std::os::fd::OwnedFd;

use rustix::io::{Errno, ioctl_fionread, read, write};
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, splice};

use crate::pod::ProcessKey;

/// Size of both pipes once one was full (the kernel's limit for an unprivileged user, /proc/sys/fs/pipe-max-size).
const FULL_SIZE: usize = 1 << 20;
/// Moved in one run, so that the others get their turn.
const RUNS: usize = 16;

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing to move now.
    Waiting,
    /// There may be more; it stopped for the others' sake.
    More,
    Ended,
}

/// Where output goes.
pub enum Sink {
    /// The client's FIFO, and our own reading end that keeps what it holds when the client goes away. `met`: someone else
    /// had it open for reading when we opened it.
    Fifo {
        write: OwnedFd,
        read: OwnedFd,
        met: bool,
    },
    /// A logger's pipe.
    Pipe(OwnedFd),
    Nowhere,
}

impl Sink {
    pub fn descriptor(&self) -> Option<&OwnedFd> {
        match self {
            Sink::Fifo { write, .. } | Sink::Pipe(write) => Some(write),
            Sink::Nowhere => None,
        }
    }
}

/// From a process's pipe, or its terminal, to the client.
pub struct Output {
    pub owner: ProcessKey,
    pub from: OwnedFd,
    pub to: Sink,
    pub terminal: bool,
    /// Read from the terminal and not written yet.
    pending: Vec<u8>,
    raised: bool,
}

impl Output {
    pub fn new(owner: ProcessKey, from: OwnedFd, to: Sink, terminal: bool) -> Output {
        Output {
            owner,
            from,
            to,
            terminal,
            pending: Vec::new(),
            raised: false,
        }
    }

    pub fn run(&mut self) -> Progress {
        for _ in 0..RUNS {
            let moved = match (&self.to, self.terminal) {
                (Sink::Fifo { write, .. }, false) => {
                    move_spliced(&self.from, write, &mut self.raised)
                }
                (to, _) => move_copied(&self.from, to.descriptor(), &mut self.pending),
            };
            match moved {
                Moved::Some => {}
                Moved::NotNow => return Progress::Waiting,
                // A logger that is gone: what the process says is lost, but it must not stop for that.
                Moved::NoReader if !matches!(self.to, Sink::Nowhere) => self.to = Sink::Nowhere,
                Moved::End | Moved::NoReader => return Progress::Ended,
            }
        }
        Progress::More
    }
}

/// From the client's FIFO to a process's pipe or terminal.
pub struct Input {
    pub from: OwnedFd,
    /// Our own writing end, so that a client that goes away is no end of file; closed by `CloseStdin`.
    pub keep: Option<OwnedFd>,
    pub to: OwnedFd,
    pub terminal: bool,
    pending: Vec<u8>,
    raised: bool,
}

impl Input {
    pub fn new(from: OwnedFd, keep: OwnedFd, to: OwnedFd, terminal: bool) -> Input {
        Input {
            from,
            keep: Some(keep),
            to,
            terminal,
            pending: Vec::new(),
            raised: false,
        }
    }

    pub fn run(&mut self) -> Progress {
        for _ in 0..RUNS {
            let moved = match self.terminal {
                true => move_copied(&self.from, Some(&self.to), &mut self.pending),
                false => move_spliced(&self.from, &self.to, &mut self.raised),
            };
            match moved {
                Moved::Some => {}
                Moved::NotNow => return Progress::Waiting,
                Moved::End | Moved::NoReader => return Progress::Ended,
            }
        }
        Progress::More
    }
}

enum Moved {
    Some,
    NotNow,
    End,
    NoReader,
}

fn move_spliced(from: &OwnedFd, to: &OwnedFd, raised: &mut bool) -> Moved {
    match splice(
        from,
        None,
        to,
        None,
        FULL_SIZE,
        SpliceFlags::NONBLOCK | SpliceFlags::MOVE,
    ) {
        Ok(0) => Moved::End,
        Ok(_) | Err(Errno::INTR) => Moved::Some,
        Err(Errno::AGAIN) => {
            // Bytes are there, so it is the other end that is full.
            if *raised || ioctl_fionread(from).unwrap_or(0) == 0 {
                return Moved::NotNow;
            }
            *raised = true;
            let _ = fcntl_setpipe_size(from, FULL_SIZE);
            let _ = fcntl_setpipe_size(to, FULL_SIZE);
            Moved::Some
        }
        Err(Errno::PIPE) => Moved::NoReader,
        Err(_) => Moved::End,
    }
}

fn move_copied(from: &OwnedFd, to: Option<&OwnedFd>, pending: &mut Vec<u8>) -> Moved {
    let mut buffer = [0u8; 4096];
    if pending.is_empty() {
        match read(from, &mut buffer) {
            Ok(count) if count > 0 => {
                pending.extend_from_slice(buffer.get(..count).unwrap_or_default())
            }
            Err(Errno::AGAIN) => return Moved::NotNow,
            Err(Errno::INTR) => return Moved::Some,
            // A terminal whose last process has closed it says EIO.
            Ok(_) | Err(_) => return Moved::End,
        }
    }
    let written = match to {
        Some(to) => write(to, pending),
        None => Ok(pending.len()),
    };
    match written {
        Ok(count) if count >= pending.len() => *pending = Vec::new(),
        Ok(count) => drop(pending.drain(..count)),
        Err(Errno::AGAIN) => return Moved::NotNow,
        Err(Errno::INTR) => {}
        Err(_) => {
            *pending = Vec::new();
            return Moved::NoReader;
        }
    }
    Moved::Some
}
