//! Log lines (logfmt) to containerd through the FIFO `log` in the bundle. Never waits and never fails: what doesn't fit now
//! is dropped, counted, and the count is told with the next line that fits.

use std::fmt::{Display, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags, open};

/// Longest line, below PIPE_BUF so that it is written whole or not at all.
const LONGEST: usize = 2048;

/// Between two attempts to open the FIFO.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info,
    Warning,
    Error,
}

pub struct Log {
    path: PathBuf,
    pod: String,
    fifo: Option<OwnedFd>,
    last_attempt: Option<Instant>,
    dropped: u64,
    /// Of all time.
    lost: u64,
}

impl Log {
    pub fn new(path: PathBuf, pod: &str) -> Log {
        Log {
            path,
            pod: pod.to_owned(),
            fifo: None,
            last_attempt: None,
            dropped: 0,
            lost: 0,
        }
    }

    pub fn info(&mut self, message: impl Display) {
        self.line(Level::Info, message);
    }

    pub fn warning(&mut self, message: impl Display) {
        self.line(Level::Warning, message);
    }

    pub fn error(&mut self, message: impl Display) {
        self.line(Level::Error, message);
    }

    /// Lines that nobody got.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    #[expect(clippy::disallowed_methods, reason = "told in the line")]
    fn line(&mut self, level: Level, message: impl Display) {
        let name = match level {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut line = format!("time=\"{}\" level={name} msg=", utc(now));
        quote(&mut line, &format!("keeper: {message}"));
        line.push_str(" pod=");
        quote(&mut line, &self.pod);
        if self.dropped > 0 {
            let _ = write!(line, " dropped={}", self.dropped);
        }
        line.push('\n');
        if self.write(line.as_bytes()) {
            self.dropped = 0;
        } else {
            self.dropped += 1;
            self.lost += 1;
        }
    }

    fn write(&mut self, line: &[u8]) -> bool {
        if self.fifo.is_none() && self.last_attempt.is_none_or(|time| time.elapsed() >= PAUSE) {
            self.last_attempt = Some(Instant::now());
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
            self.fifo = open(&self.path, flags, Mode::empty()).ok();
        }
        // Without a reader (containerd restarts) a write fails; the FIFO stays the same, so it is kept.
        self.fifo
            .as_ref()
            .is_some_and(|fifo| rustix::io::write(fifo, line) == Ok(line.len()))
    }
}

/// Appends the text in double quotes, cut to the longest line, anything that could end the line or the quotes escaped.
fn quote(line: &mut String, text: &str) {
    line.push('"');
    for character in text.chars() {
        if line.len() > LONGEST {
            line.push_str("...");
            break;
        }
        match character {
            '"' | '\\' => line.extend(['\\', character]),
            '\n' => line.push_str("\\n"),
            _ if character.is_control() => line.push('?'),
            _ => line.push(character),
        }
    }
    line.push('"');
}

/// A time since 1970 as RFC 3339 says it, in UTC.
pub fn utc(time: Duration) -> String {
    let seconds = time.as_secs();
    // Days in eras of 400 years that begin in March, so that the leap day is the last of a year.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let rest = seconds % 86_400;
    let (hour, minute, second) = (rest / 3_600, rest % 3_600 / 60, rest % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z",
        time.subsec_micros()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(utc(Duration::from_secs(0)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(
            utc(Duration::new(951_782_400, 5_000)),
            "2000-02-29T00:00:00.000005Z"
        );
        assert_eq!(
            utc(Duration::from_secs(4_107_542_399)),
            "2100-02-28T23:59:59.000000Z"
        );
        assert_eq!(
            utc(Duration::from_secs(4_107_542_400)),
            "2100-03-01T00:00:00.000000Z"
        );
    }

    #[test]
    fn a_message_can_not_forge_a_line_or_a_field() {
        let mut line = String::new();
        quote(&mut line, "a\" level=error msg=\"b\nc\u{1b}");
        assert_eq!(line, "\"a\\\" level=error msg=\\\"b\\nc?\"");
    }

    #[test]
    fn a_long_message_is_cut() {
        let mut line = String::new();
        quote(&mut line, &"x".repeat(10_000));
        assert!(line.len() < LONGEST + 10);
    }
}
