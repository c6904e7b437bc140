//! What wakes the keeper: readiness of descriptors (epoll) and points in time. Knows nothing of what they mean.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

/// Whose descriptor it is. The number that goes with it is never used twice, so a late wake-up finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Listener,
    Signals,
    Client,
    Daemon,
    Containerd,
    Stage,
    Barrier,
    Worker,
    Output,
    Input,
    LoggerReady,
    OomEvent,
    OomFiles,
}

const SOURCES: [Source; 13] = [
    Source::Listener,
    Source::Signals,
    Source::Client,
    Source::Daemon,
    Source::Containerd,
    Source::Stage,
    Source::Barrier,
    Source::Worker,
    Source::Output,
    Source::Input,
    Source::LoggerReady,
    Source::OomEvent,
    Source::OomFiles,
];

/// A descriptor that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    pub source: Source,
    pub id: u64,
    pub writable: bool,
}

/// What to be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    Read,
    ReadWrite,
    /// Each change once, either way.
    Edge,
    EdgeWrite,
}

const ID_BITS: u32 = 48;

/// Names a timer: its time and a number of its own.
pub type Alarm = (Instant, u64);

pub struct Reactor<T> {
    epoll: OwnedFd,
    timers: BTreeMap<(Instant, u64), T>,
    next: u64,
}

impl<T> Reactor<T> {
    /// # Errors
    /// The kernel's.
    pub fn new() -> Result<Reactor<T>, Errno> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Reactor {
            epoll,
            timers: BTreeMap::new(),
            next: 1,
        })
    }

    /// A number that was never given before.
    pub fn fresh_id(&mut self) -> u64 {
        let id = self.next;
        self.next += 1;
        id
    }

    /// # Errors
    /// The kernel's.
    pub fn add(
        &self,
        descriptor: impl AsFd,
        source: Source,
        id: u64,
        interest: Interest,
    ) -> Result<(), Errno> {
        epoll::add(&self.epoll, descriptor, pack(source, id), flags(interest))
    }

    /// # Errors
    /// The kernel's.
    pub fn change(
        &self,
        descriptor: impl AsFd,
        source: Source,
        id: u64,
        interest: Interest,
    ) -> Result<(), Errno> {
        epoll::modify(&self.epoll, descriptor, pack(source, id), flags(interest))
    }

    /// To be called before a descriptor is closed that another process may hold as well.
    pub fn remove(&self, descriptor: impl AsFd) {
        let _ = epoll::delete(&self.epoll, descriptor);
    }

    /// Has `timer` returned by `due` after this time. Whom it concerns looks whether it still does: it isn't taken back.
    pub fn after(&mut self, time: Duration, timer: T) {
        self.at(Instant::now() + time, timer);
    }

    /// The same at this time; by what comes back it can be taken back.
    pub fn at(&mut self, time: Instant, timer: T) -> Alarm {
        let alarm = (time, self.fresh_id());
        self.timers.insert(alarm, timer);
        alarm
    }

    pub fn take_back(&mut self, alarm: Alarm) {
        self.timers.remove(&alarm);
    }

    /// A timer whose time has come.
    pub fn due(&mut self) -> Option<T> {
        let first = self.timers.first_entry()?;
        if first.key().0 > Instant::now() {
            return None;
        }
        Some(first.remove())
    }

    /// Waits for descriptors or the next timer. Not at all if `busy`; at most `longest` otherwise.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait(&mut self, busy: bool, longest: Option<Duration>) -> Result<Vec<Ready>, Errno> {
        let mut space = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; 32];
        let next = self
            .timers
            .first_key_value()
            .map(|((time, _), _)| time.saturating_duration_since(Instant::now()));
        let limit = if busy {
            Some(Duration::ZERO)
        } else {
            [next, longest].into_iter().flatten().min()
        };
        let limit = limit.map(|time| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        });
        let count = match epoll::wait(&self.epoll, &mut space[..], limit.as_ref()) {
            Ok(count) => count,
            Err(Errno::INTR) => 0,
            Err(error) => return Err(error),
        };
        Ok(space.iter().take(count).filter_map(unpack).collect())
    }
}

fn pack(source: Source, id: u64) -> epoll::EventData {
    epoll::EventData::new_u64((source as u64) << ID_BITS | id)
}

fn unpack(event: &epoll::Event) -> Option<Ready> {
    let data = event.data.u64();
    let source = *SOURCES.get(usize::try_from(data >> ID_BITS).ok()?)?;
    let flags = event.flags;
    let writable = flags.intersects(epoll::EventFlags::OUT);
    Some(Ready {
        source,
        id: data & ((1 << ID_BITS) - 1),
        writable,
    })
}

fn flags(interest: Interest) -> epoll::EventFlags {
    match interest {
        Interest::Read => epoll::EventFlags::IN,
        Interest::ReadWrite => epoll::EventFlags::IN | epoll::EventFlags::OUT,
        Interest::Edge => epoll::EventFlags::IN | epoll::EventFlags::ET,
        Interest::EdgeWrite => epoll::EventFlags::OUT | epoll::EventFlags::ET,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_stands_at_its_own_number() {
        for (number, source) in SOURCES.iter().enumerate() {
            assert_eq!(*source as usize, number);
        }
    }

    #[test]
    fn a_timer_that_was_taken_back_never_comes() {
        let mut reactor = Reactor::new().unwrap();
        let alarm = reactor.at(Instant::now(), "first");
        reactor.at(Instant::now(), "second");
        reactor.take_back(alarm);
        assert_eq!(reactor.due(), Some("second"));
        assert_eq!(reactor.due(), None);
    }

    #[test]
    fn timers_come_in_the_order_of_their_times() {
        let mut reactor = Reactor::new().unwrap();
        let now = Instant::now();
        reactor.at(now + Duration::from_millis(2), "second");
        reactor.at(now + Duration::from_millis(1), "first");
        assert!(reactor.wait(false, None).unwrap().is_empty());
        let mut seen = Vec::new();
        while seen.len() < 2 {
            reactor.wait(false, None).unwrap();
            seen.extend(reactor.due());
        }
        assert_eq!(seen, ["first", "second"]);
        assert!(reactor.due().is_none());
    }
}
