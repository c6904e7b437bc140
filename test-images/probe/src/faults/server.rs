//! Who answers for the filters: lets calls pass but those that the rule in force is about.

use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::calls::{Asked, Class};
use super::who;
use crate::agent;

/// SECCOMP_USER_NOTIF_FLAG_CONTINUE of <linux/seccomp.h>.
const GO_ON: u32 = 1;

/// What becomes of a call.
#[derive(Clone, Copy)]
enum Fate {
    /// It fails with this error number.
    Fails(i32),
    /// It is made after this time.
    Waits(Duration),
}

/// Calls of a class, by a role (`brig`: any but a container's programs), beneath a path (`*`: any): from the `first` on, `times` of them.
struct Rule {
    class: Class,
    role: String,
    path: String,
    first: u64,
    times: u64,
    fate: Fate,
    seen: u64,
    hit: u64,
    last: String,
}

impl Rule {
    /// `CLASS ROLE PATH FIRST TIMES ERRNO` or, instead of the last word, `+MILLISECONDS`.
    fn parse(words: &[&str]) -> Option<Rule> {
        let [class, role, path, first, times, fate] = words else {
            return None;
        };
        let fate = match fate.strip_prefix('+') {
            Some(millis) => Fate::Waits(Duration::from_millis(millis.parse().ok()?)),
            None => Fate::Fails(fate.parse().ok()?),
        };
        Some(Rule {
            class: Class::named(class)?,
            role: (*role).to_owned(),
            path: (*path).to_owned(),
            first: first.parse().ok()?,
            times: times.parse().ok()?,
            fate,
            seen: 0,
            hit: 0,
            last: String::new(),
        })
    }

    fn judge(&mut self, thread: u32, asked: &Asked) -> Option<Fate> {
        let is_there = self.path == "*"
            || asked
                .path
                .as_ref()
                .is_some_and(|path| path.starts_with(&self.path));
        if !is_there || !asked.is_of(self.class) {
            return None;
        }
        let role = who::role(thread);
        let is_meant = match self.role.as_str() {
            "brig" => role != "container",
            named => named == role,
        };
        if !is_meant {
            return None;
        }
        self.seen += 1;
        if self.seen < self.first || self.seen - self.first >= self.times {
            return None;
        }
        self.hit += 1;
        let path = asked.path.clone().unwrap_or_else(|| PathBuf::from("-"));
        self.last = format!("{role} {} {}", asked.call.name, path.display());
        Some(self.fate)
    }
}

/// A call that is let go on at its time: by which listener it was asked about, and its number there.
struct Delayed {
    until: Instant,
    listener: i32,
    id: u64,
}

struct Server {
    shims: UnixListener,
    listeners: Vec<OwnedFd>,
    rule: Option<Rule>,
    delayed: Vec<Delayed>,
    typed: Vec<u8>,
}

/// Until standard input ends.
pub fn run(arguments: &[String]) -> ExitCode {
    let Some(path) = arguments.first() else {
        return ExitCode::from(2);
    };
    let shims = match UnixListener::bind(path) {
        Ok(shims) => shims,
        Err(error) => {
            eprintln!("faults: {path}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("listening");
    let mut server = Server {
        shims,
        listeners: Vec::new(),
        rule: None,
        delayed: Vec::new(),
        typed: Vec::new(),
    };
    while server.turn() {}
    ExitCode::SUCCESS
}

impl Server {
    fn turn(&mut self) -> bool {
        let poll = |descriptor: i32| libc::pollfd {
            fd: descriptor,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut polls = vec![poll(0), poll(self.shims.as_raw_fd())];
        polls.extend(self.listeners.iter().map(|one| poll(one.as_raw_fd())));
        let now = Instant::now();
        let wait = self
            .delayed
            .iter()
            .map(|one| one.until)
            .min()
            .map_or(-1, |until| {
                i32::try_from(until.saturating_duration_since(now).as_millis() + 1)
                    .unwrap_or(i32::MAX)
            });
        // SAFETY: as many structures as is said.
        unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, wait) };
        self.let_go();
        if polls[0].revents != 0 && !self.told() {
            return false;
        }
        if polls[1].revents != 0
            && let Ok((stream, _)) = self.shims.accept()
        {
            self.take_over(stream);
        }
        for poll in polls.iter().skip(2) {
            if poll.revents & libc::POLLIN != 0 {
                self.asked(poll.fd);
            }
            if poll.revents & libc::POLLHUP != 0 {
                self.listeners.retain(|one| one.as_raw_fd() != poll.fd);
                self.delayed.retain(|one| one.listener != poll.fd);
            }
        }
        true
    }

    fn take_over(&mut self, mut stream: UnixStream) {
        if let Some((_, listener)) = agent::receive(&stream) {
            self.listeners.push(listener);
            let _ = stream.write_all(b"!");
        }
    }

    fn asked(&mut self, listener: i32) {
        // SAFETY: the structure is the kernel's own, as large as the request says, and has to be zero.
        let notification = unsafe {
            let mut notification: libc::seccomp_notif = std::mem::zeroed();
            if libc::ioctl(listener, agent::RECV, &raw mut notification) < 0 {
                // It was interrupted, or is gone.
                return;
            }
            notification
        };
        let data = notification.data;
        let fate = self.rule.as_mut().and_then(|rule| {
            let asked = Asked::new(notification.pid, data.nr, data.args)?;
            rule.judge(notification.pid, &asked)
        });
        match fate {
            None => answer(listener, notification.id, 0, GO_ON),
            Some(Fate::Fails(errno)) => answer(listener, notification.id, -errno, 0),
            Some(Fate::Waits(time)) => self.delayed.push(Delayed {
                until: Instant::now() + time,
                listener,
                id: notification.id,
            }),
        }
    }

    fn let_go(&mut self) {
        let now = Instant::now();
        self.delayed.retain(|one| {
            let is_due = one.until <= now;
            if is_due {
                answer(one.listener, one.id, 0, GO_ON);
            }
            !is_due
        });
    }

    /// Takes what was typed; false at its end.
    fn told(&mut self) -> bool {
        let mut part = [0_u8; 512];
        // Not by the library, which may read more than it gives: nobody would be told of the rest.
        // SAFETY: the buffer is as long as is said.
        let count = unsafe { libc::read(0, part.as_mut_ptr().cast(), part.len()) };
        match usize::try_from(count) {
            Ok(count) if count > 0 => self.typed.extend_from_slice(&part[..count]),
            _ => return false,
        }
        while let Some(end) = self.typed.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.typed.drain(..=end).collect();
            self.obey(String::from_utf8_lossy(&line).trim());
        }
        true
    }

    fn obey(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.split_first() {
            Some((&"arm", rest)) => match Rule::parse(rest) {
                Some(rule) => {
                    self.rule = Some(rule);
                    println!("armed");
                }
                None => println!("not understood: {line}"),
            },
            Some((&"disarm", _)) => {
                match self.rule.take() {
                    Some(rule) => println!("{} {} {}", rule.seen, rule.hit, rule.last),
                    None => println!("0 0 "),
                }
                // Whoever waits has waited long enough.
                for one in self.delayed.drain(..) {
                    answer(one.listener, one.id, 0, GO_ON);
                }
            }
            _ => println!("not understood: {line}"),
        }
    }
}

/// One who is gone meanwhile needs no answer.
fn answer(listener: i32, id: u64, error: i32, flags: u32) {
    let mut response = libc::seccomp_notif_resp {
        id,
        val: 0,
        error,
        flags,
    };
    // SAFETY: the structure is the kernel's own, as large as the request says.
    unsafe { libc::ioctl(listener, agent::SEND, &raw mut response) };
}
