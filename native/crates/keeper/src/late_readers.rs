//! FIFOs whose output is over before their client has come to read. A client opens its end when it gets to it, which on a busy
//! machine may be after the process's end; of a FIFO that everybody has closed by then the opening never returns, and what it
//! held is gone. So the writing end stays open until someone reads, for a bounded time. No exit waits for that.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;
use rustix::io::ioctl_fionread;

use crate::keeper::{Child, Keeper, Timer};
use crate::pump::Sink;

/// How long a FIFO is kept for a reader.
const LIMIT: Duration = Duration::from_secs(10);
/// Most FIFOs kept at once; beyond it the oldest is closed.
const MOST: usize = 64;
/// Nothing wakes a writer when a reader comes, so it is looked for: soon at first, then less often.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// A FIFO's writing end without a reading end of ours.
struct Left {
    write: OwnedFd,
    /// What our reading end was, which a child just forked may not have closed yet.
    read_number: RawFd,
    until: Instant,
}

#[derive(Default)]
pub struct LateReaders {
    fifos: VecDeque<Left>,
    pause: Duration,
    watched: bool,
}

impl LateReaders {
    pub fn is_empty(&self) -> bool {
        self.fifos.is_empty()
    }
}

impl Keeper {
    /// Closes what output went to, at once where its client is there, or was there and has read everything.
    pub fn leave_sink(&mut self, sink: Sink) {
        let Sink::Fifo { write, read, met } = sink else {
            return;
        };
        let read_number = read.as_raw_fd();
        drop(read);
        let left = Left {
            write,
            read_number,
            until: Instant::now() + LIMIT,
        };
        let is_done = match met {
            true => has_reader(&left.write) || ioctl_fionread(&left.write).unwrap_or(0) == 0,
            false => self.is_read(&left),
        };
        if is_done {
            return;
        }
        self.log.info(if met {
            "output is left that its reader, who went away, has not read: kept for the next one"
        } else {
            "output ended before anybody came to read it: its FIFO is kept open for now"
        });
        if self.late_readers.fifos.len() >= MOST {
            self.late_readers.fifos.pop_front();
            self.lost_outputs += 1;
        }
        self.late_readers.fifos.push_back(left);
        self.late_readers.pause = SHORTEST_PAUSE;
        self.watch_late_readers();
    }

    fn watch_late_readers(&mut self) {
        let late = &mut self.late_readers;
        if !late.watched && !late.is_empty() {
            late.watched = true;
            let pause = late.pause;
            late.pause = (pause * 2).min(LONGEST_PAUSE);
            self.reactor.after(pause, Timer::LateReaders);
        }
    }

    pub fn look_for_readers(&mut self) {
        let now = Instant::now();
        let mut fifos = std::mem::take(&mut self.late_readers.fifos);
        fifos.retain(|left| {
            if left.until <= now {
                let bytes = ioctl_fionread(&left.write).unwrap_or(0);
                self.lost_outputs += u64::from(bytes > 0);
                self.log.info(format_args!(
                    "a FIFO was read by nobody in {LIMIT:?} and is closed with {bytes} bytes in it"
                ));
                return false;
            }
            !is_nameless(&left.write) && !self.is_read(left)
        });
        self.late_readers.fifos = fifos;
        self.late_readers.watched = false;
        self.watch_late_readers();
    }

    /// Whether someone else has it open for reading. Children that were just forked still hold all that we held, for a moment.
    fn is_read(&self, left: &Left) -> bool {
        has_reader(&left.write) && !self.is_held_by_child(left)
    }

    fn is_held_by_child(&self, left: &Left) -> bool {
        let Ok(own) = fstat(&left.write) else {
            return false;
        };
        let forked = self
            .children
            .iter()
            .filter(|(_, child)| matches!(child, Child::Stage(_) | Child::Worker(_)));
        forked.map(|(pid, _)| pid).any(|pid| {
            [left.read_number, left.write.as_raw_fd()]
                .iter()
                .filter_map(|number| std::fs::metadata(format!("/proc/{pid}/fd/{number}")).ok())
                .any(|held| (held.dev(), held.ino()) == (own.st_dev, own.st_ino))
        })
    }
}

fn has_reader(write: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(write, PollFlags::empty())];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // A pipe's writing end is in error exactly while it has no reader (pipe(7)).
    poll(&mut polled, Some(&at_once)).is_ok()
        && !matches!(polled, [polled] if polled.revents().contains(PollFlags::ERR))
}

/// Its name is gone: nobody can open it any more.
fn is_nameless(fifo: &OwnedFd) -> bool {
    fstat(fifo).is_ok_and(|about| about.st_nlink == 0)
}
