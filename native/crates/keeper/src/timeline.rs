//! A trace of pods' lives for `scripts/bench --trace`: what happened when, and whose time it was until then. Launchers and
//! keepers write it as long as the run directory has a file `trace`; whoever wants one makes the file and takes it away again.
//!
//! One line per note: nanoseconds of CLOCK_MONOTONIC (one clock for all processes of the machine), process id, whose time
//! ended with it, what came of it.

use std::fmt::{Arguments, Display};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

/// Lines of one process: a trace that was forgotten doesn't fill the run directory by a pod that lives for years.
const MOST_LINES: usize = 20_000;

pub struct Timeline {
    file: Option<File>,
    left: usize,
}

impl Timeline {
    /// Whether there is one is decided here, once.
    #[must_use]
    pub fn open(run_dir: &Path) -> Timeline {
        let file = OpenOptions::new()
            .append(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(run_dir.join("trace"))
            .ok();
        Timeline {
            file,
            left: MOST_LINES,
        }
    }

    /// Until now it was `whose` time.
    pub fn note(&mut self, whose: impl Display, what: Arguments<'_>) {
        let Some(file) = &mut self.file else {
            return;
        };
        let now = clock_gettime(ClockId::Monotonic);
        let (seconds, nanos) = (now.tv_sec, now.tv_nsec);
        let pid = std::process::id();
        // In one write, so that lines of several processes don't mix.
        let line = format!("{seconds}{nanos:09} {pid} {whose} {what}\n");
        self.left -= 1;
        if file.write_all(line.as_bytes()).is_err() || self.left == 0 {
            self.file = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_taken_only_where_somebody_wants_them_and_their_number_is_bounded() {
        let dir = std::env::temp_dir().join(format!("brig-timeline-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Timeline::open(&dir).note("keeper", format_args!("nobody asked"));
        assert!(!dir.join("trace").exists());

        std::fs::write(dir.join("trace"), "").unwrap();
        let mut timeline = Timeline::open(&dir);
        for number in 0..MOST_LINES + 10 {
            timeline.note("keeper", format_args!("note {number}"));
        }
        let text = std::fs::read_to_string(dir.join("trace")).unwrap();
        assert_eq!(text.lines().count(), MOST_LINES);
        let times = text.lines().map(|line| {
            let (time, rest) = line.split_once(' ').unwrap();
            assert!(rest.starts_with(&format!("{} keeper note ", std::process::id())));
            time.parse::<u64>().unwrap()
        });
        assert!(times.is_sorted());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
