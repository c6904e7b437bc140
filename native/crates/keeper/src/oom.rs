//! OOM kills in a container's memory cgroup. What counts is the kernel's own counter, `oom_kill` in memory.oom_control (v1)
//! or memory.events (v2); eventfd and inotify only say when to look at it.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{Mode, OFlags, inotify, open};
use rustix::io::Errno;

use crate::keeper::Keeper;
use crate::reactor::{Interest, Source};
use crate::requests::Notice;

/// What is held for a container.
pub struct OomWatch {
    counter: OwnedFd,
    trigger: Trigger,
    /// Kills that have been told.
    seen: u64,
    /// A notice is under way; kills that come meanwhile are told by the next one.
    telling: bool,
}

enum Trigger {
    /// v1: signalled by the kernel.
    Event(u64, OwnedFd),
    /// v2: watch descriptor in the keeper's inotify.
    Watch(i32),
}

/// The keeper's inotify for all of its containers' memory.events.
pub struct OomFiles {
    inotify: OwnedFd,
}

impl Keeper {
    /// Begins to watch a container that has been made.
    pub fn watch_oom(&mut self, id: &str) {
        let care = self
            .pod
            .containers
            .get(id)
            .and_then(|container| container.care.as_ref());
        let Some((dir, v2)) = care.map(|care| (care.oom_dir.clone(), care.cgroup_v2)) else {
            return;
        };
        if dir.is_empty() {
            return;
        }
        let watch = if v2 {
            self.watch_v2(&dir)
        } else {
            self.watch_v1(&dir)
        };
        match watch {
            Ok(watch) => {
                if let Some(container) = self.pod.containers.get_mut(id) {
                    container.oom = Some(watch);
                }
            }
            Err(error) => {
                let why = crate::problem::cause(error);
                self.log.warning(format_args!(
                    "{id}: OOM kills are only seen at an exit, {dir} can't be watched: {why}"
                ));
            }
        }
    }

    fn watch_v1(&mut self, dir: &str) -> Result<OomWatch, Errno> {
        let control = |name: &str, flags| {
            open(
                format!("{dir}/{name}"),
                flags | OFlags::CLOEXEC,
                Mode::empty(),
            )
        };
        let counter = control("memory.oom_control", OFlags::RDONLY)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let line = format!("{} {}", event.as_raw_fd(), counter.as_raw_fd());
        rustix::io::write(
            control("cgroup.event_control", OFlags::WRONLY)?,
            line.as_bytes(),
        )?;
        let number = self.reactor.fresh_id();
        self.reactor
            .add(&event, Source::OomEvent, number, Interest::Read)?;
        let seen = kills(&counter).unwrap_or(0);
        Ok(OomWatch {
            counter,
            trigger: Trigger::Event(number, event),
            seen,
            telling: false,
        })
    }

    fn watch_v2(&mut self, dir: &str) -> Result<OomWatch, Errno> {
        let path = format!("{dir}/memory.events");
        let counter = open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let seen = kills(&counter).unwrap_or(0);
        if self.oom_files.is_none() {
            let inotify =
                inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
            self.reactor
                .add(&inotify, Source::OomFiles, 0, Interest::Read)?;
            self.oom_files = Some(OomFiles { inotify });
        }
        let Some(files) = &self.oom_files else {
            return Err(Errno::NOENT);
        };
        let watch = inotify::add_watch(&files.inotify, &path, inotify::WatchFlags::MODIFY)?;
        Ok(OomWatch {
            counter,
            trigger: Trigger::Watch(watch),
            seen,
            telling: false,
        })
    }

    /// v1's eventfd: also signalled when the cgroup is removed, so the counter decides.
    pub fn oom_event(&mut self, number: u64) {
        let of =
            |watch: &OomWatch| matches!(&watch.trigger, Trigger::Event(own, _) if *own == number);
        let found = self
            .pod
            .containers
            .iter()
            .find(|(_, container)| container.oom.as_ref().is_some_and(of));
        let Some((id, container)) = found else { return };
        if let Some(OomWatch {
            trigger: Trigger::Event(_, event),
            ..
        }) = &container.oom
        {
            let _ = rustix::io::read(event, &mut [0u8; 8]);
        }
        let id = id.clone();
        self.look_for_oom(&id);
    }

    pub fn oom_files_changed(&mut self) {
        let Some(files) = &self.oom_files else { return };
        let mut space = [MaybeUninit::uninit(); 1024];
        let mut events = inotify::Reader::new(&files.inotify, &mut space);
        let mut changed = Vec::new();
        while let Ok(event) = events.next() {
            changed.push(event.wd());
        }
        let of = |watch: &OomWatch| matches!(watch.trigger, Trigger::Watch(own) if changed.contains(&own));
        let affected = self
            .pod
            .containers
            .iter()
            .filter(|(_, container)| container.oom.as_ref().is_some_and(of));
        for id in affected.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.look_for_oom(&id);
        }
    }

    /// Tells of kills that have not been told.
    pub fn look_for_oom(&mut self, id: &str) {
        let Some(watch) = self
            .pod
            .containers
            .get_mut(id)
            .and_then(|container| container.oom.as_mut())
        else {
            return;
        };
        let Ok(now) = kills(&watch.counter) else {
            return;
        };
        if now <= watch.seen || watch.telling {
            return;
        }
        watch.seen = now;
        watch.telling = true;
        self.notify(Notice::OomKilled(id.to_owned()));
    }

    /// The daemon has answered the last notice.
    pub fn oom_told(&mut self, id: &str) {
        if let Some(watch) = self
            .pod
            .containers
            .get_mut(id)
            .and_then(|container| container.oom.as_mut())
        {
            watch.telling = false;
            self.look_for_oom(id);
        }
    }

    /// Ends the watching of a container that goes.
    pub fn end_oom_watch(&mut self, watch: &OomWatch) {
        match &watch.trigger {
            Trigger::Event(_, event) => self.reactor.remove(event),
            Trigger::Watch(number) => {
                if let Some(files) = &self.oom_files {
                    let _ = inotify::remove_watch(&files.inotify, *number);
                }
            }
        }
    }
}

fn kills(counter: &OwnedFd) -> Result<u64, Errno> {
    let mut buffer = [0u8; 512];
    let count = rustix::io::pread(counter, &mut buffer, 0)?;
    parse_kills(buffer.get(..count).unwrap_or_default()).ok_or(Errno::NODATA)
}

/// The line `oom_kill <n>`.
fn parse_kills(content: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(content).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_found_in_both_forms() {
        assert_eq!(
            parse_kills(b"oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
            Some(3)
        );
        assert_eq!(
            parse_kills(b"low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 0\n"),
            Some(1)
        );
        assert_eq!(parse_kills(b"low 0\n"), None);
    }
}
