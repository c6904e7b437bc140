//! The numbered requests: kept from their arrival until the daemon's Reply, with the results of the steps that were carried
//! out for them. This is where exactly-once lives: whoever asks for a (seq, step) again gets the kept result.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use wire::keeper::Request;

use crate::pod::ProcessKey;

/// Bounds for what clients send.
const MOST_REQUESTS: usize = 4096;
const MOST_BYTES: usize = 64 << 20;
/// Bound for what one request may have carried out.
const MOST_STEPS: usize = 4096;

pub const NOTICE_SERVICE: &str = "brig.keeper.v1.Notice";

/// A step of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    pub seq: u64,
    pub step: u32,
}

/// A client that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    pub connection: u64,
    pub stream: u32,
    pub expires: Option<Instant>,
}

/// What the keeper itself has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    Exited(ProcessKey),
    OomKilled(String),
    Removed(String),
}

/// A question that the keeper answers from its record when the daemon doesn't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    State(ProcessKey),
    Wait(ProcessKey),
    Connect(String),
    Pids(String),
}

pub enum Step {
    /// Under way; the result goes to the daemon of this connection.
    Running { asked_in: u64 },
    /// The encoded frame of the result.
    Done(Vec<u8>),
}

pub struct Pending {
    pub service: String,
    pub method: String,
    pub payload: Vec<u8>,
    pub metadata: HashMap<String, String>,
    pub waiters: Vec<Waiter>,
    pub notice: Option<Notice>,
    pub question: Option<Question>,
    /// The container that a Create makes.
    pub creates: Option<String>,
    pub expires: Option<Instant>,
    /// The last connection to a daemon that it was sent on.
    pub sent_in: Option<u64>,
    pub steps: BTreeMap<u32, Step>,
    bytes: usize,
    /// Its entries in the order of all deadlines.
    deadlines: Vec<Instant>,
}

impl Pending {
    pub fn new(
        service: String,
        method: String,
        payload: Vec<u8>,
        metadata: HashMap<String, String>,
    ) -> Pending {
        let extra: usize = metadata
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        let bytes = service.len() + method.len() + payload.len() + extra;
        Pending {
            service,
            method,
            payload,
            metadata,
            waiters: Vec::new(),
            notice: None,
            question: None,
            creates: None,
            expires: None,
            sent_in: None,
            steps: BTreeMap::new(),
            bytes,
            deadlines: Vec::new(),
        }
    }
}

#[derive(Default)]
pub struct Requests {
    map: BTreeMap<u64, Pending>,
    /// When somebody's time will be over, by time. Clients may give hours: what is answered is not in it any more.
    deadlines: BTreeSet<(Instant, u64)>,
    last: u64,
    bytes: usize,
}

impl Requests {
    /// Keeps a client's request under a new number; refused (with what is full) beyond the bounds.
    pub fn add(&mut self, pending: Pending) -> Result<u64, String> {
        if pending.notice.is_none() {
            if self.map.len() >= MOST_REQUESTS {
                return Err(format!("{MOST_REQUESTS} requests wait already"));
            }
            if self.bytes + pending.bytes > MOST_BYTES {
                return Err(format!("{} bytes of requests wait already", self.bytes));
            }
        }
        self.last += 1;
        self.bytes += pending.bytes;
        self.map.insert(self.last, pending);
        Ok(self.last)
    }

    pub fn get(&self, seq: u64) -> Option<&Pending> {
        self.map.get(&seq)
    }

    pub fn get_mut(&mut self, seq: u64) -> Option<&mut Pending> {
        self.map.get_mut(&seq)
    }

    pub fn remove(&mut self, seq: u64) -> Option<Pending> {
        let pending = self.map.remove(&seq)?;
        self.bytes -= pending.bytes;
        for time in &pending.deadlines {
            self.deadlines.remove(&(*time, seq));
        }
        Some(pending)
    }

    /// Somebody waits for this request until then.
    pub fn limit(&mut self, seq: u64, time: Instant) {
        if let Some(pending) = self.map.get_mut(&seq)
            && self.deadlines.insert((time, seq))
        {
            pending.deadlines.push(time);
        }
    }

    /// The next time that will be over.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(time, _)| *time)
    }

    /// Takes a request of which somebody's time is over.
    pub fn overdue(&mut self, now: Instant) -> Option<u64> {
        let (time, seq) = *self.deadlines.first()?;
        if time > now {
            return None;
        }
        self.deadlines.pop_first();
        if let Some(pending) = self.map.get_mut(&seq) {
            pending.deadlines.retain(|other| *other != time);
        }
        Some(seq)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, &Pending)> {
        self.map.iter().map(|(seq, pending)| (*seq, pending))
    }

    /// Nothing but questions (that nobody may wait for any more).
    pub fn is_quiet(&self) -> bool {
        self.map.values().all(|pending| pending.question.is_some())
    }

    /// The Wait already sent to a daemon that asks exactly the same, so that a client that comes back (containerd restarts) adds
    /// a waiter, not a request.
    pub fn same_wait(&self, asked: &Pending) -> Option<u64> {
        let Some(Question::Wait(_)) = asked.question else {
            return None;
        };
        let same = |pending: &Pending| {
            pending.method == asked.method
                && pending.service == asked.service
                && pending.payload == asked.payload
        };
        self.map
            .iter()
            .find(|(_, pending)| same(pending))
            .map(|(seq, _)| *seq)
    }

    /// Drops the waiters of a connection that is gone, with the requests that nobody waits for then and that change nothing:
    /// those that no daemon has seen, and questions. The questions that were sent on `link` are returned: who serves them
    /// there need not go on.
    pub fn forget_connection(&mut self, connection: u64, link: u64) -> Vec<u64> {
        self.forget_waiters(|waiter| waiter.connection == connection, link)
    }

    /// The same for one waiter of a connection that goes on.
    pub fn forget_waiter(&mut self, connection: u64, stream: u32, link: u64) -> Vec<u64> {
        self.forget_waiters(
            |waiter| (waiter.connection, waiter.stream) == (connection, stream),
            link,
        )
    }

    fn forget_waiters(&mut self, goes: impl Fn(&Waiter) -> bool, link: u64) -> Vec<u64> {
        let mut dropped = Vec::new();
        let mut served = Vec::new();
        for (seq, pending) in &mut self.map {
            let before = pending.waiters.len();
            pending.waiters.retain(|waiter| !goes(waiter));
            if pending.waiters.len() == before || !pending.waiters.is_empty() {
                continue;
            }
            if pending.sent_in.is_none() || pending.question.is_some() {
                dropped.push(*seq);
            }
            if pending.question.is_some() && pending.sent_in == Some(link) {
                served.push(*seq);
            }
        }
        for seq in dropped {
            self.remove(seq);
        }
        served
    }

    /// Whether a request of this number was ever kept.
    pub fn was_given(&self, seq: u64) -> bool {
        (1..=self.last).contains(&seq)
    }

    /// Takes the waiters whose time is over; the request itself goes too where no daemon has seen it.
    pub fn expire(&mut self, seq: u64) -> Vec<Waiter> {
        let Some(pending) = self.map.get_mut(&seq) else {
            return Vec::new();
        };
        let now = Instant::now();
        let is_over = |waiter: &Waiter| waiter.expires.is_some_and(|time| time <= now);
        let over = pending
            .waiters
            .extract_if(.., |waiter| is_over(waiter))
            .collect();
        if pending.waiters.is_empty() && pending.sent_in.is_none() && pending.notice.is_none() {
            self.remove(seq);
        }
        over
    }

    /// The request as it goes to the daemon on this connection.
    pub fn message(&mut self, seq: u64, connection: u64) -> Option<Request> {
        let pending = self.map.get_mut(&seq)?;
        let replayed = pending.sent_in.is_some_and(|before| before != connection);
        pending.sent_in = Some(connection);
        let left = pending.expires.map(|time| {
            time.saturating_duration_since(Instant::now())
                .max(Duration::from_nanos(1))
        });
        Some(Request {
            seq,
            replayed,
            service: pending.service.clone(),
            method: pending.method.clone(),
            payload: pending.payload.clone(),
            timeout_nanos: left
                .map_or(0, |left| i64::try_from(left.as_nanos()).unwrap_or(i64::MAX)),
            metadata: pending.metadata.clone(),
        })
    }

    /// What is to be done about a step that the daemon of this connection asks for.
    pub fn begin(&mut self, ticket: Ticket, connection: u64) -> Begin {
        let Some(pending) = self.map.get_mut(&ticket.seq) else {
            return Begin::Refuse("no such request");
        };
        let full = pending.steps.len() >= MOST_STEPS;
        match pending.steps.get_mut(&ticket.step) {
            Some(Step::Done(frame)) => Begin::Repeat(frame.clone()),
            Some(Step::Running { asked_in }) => {
                *asked_in = connection;
                Begin::Wait
            }
            None if full => Begin::Refuse("too many steps"),
            None => {
                pending.steps.insert(
                    ticket.step,
                    Step::Running {
                        asked_in: connection,
                    },
                );
                Begin::CarryOut
            }
        }
    }

    /// Ends a step that is under way: keeps its result, or forgets the step, which is then carried out again if asked for
    /// again. Says whether the daemon of this connection waits for the result.
    pub fn finish(&mut self, ticket: Ticket, result: &[u8], keep: bool, connection: u64) -> bool {
        let Some(pending) = self.map.get_mut(&ticket.seq) else {
            return false;
        };
        let Some(Step::Running { asked_in }) = pending.steps.get(&ticket.step) else {
            return false;
        };
        let asked = *asked_in == connection;
        if keep {
            pending
                .steps
                .insert(ticket.step, Step::Done(result.to_vec()));
            pending.bytes += result.len();
            self.bytes += result.len();
        } else {
            pending.steps.remove(&ticket.step);
        }
        asked
    }
}

/// See [`Requests::begin`].
#[derive(Debug, PartialEq, Eq)]
pub enum Begin {
    CarryOut,
    /// It is under way; its result will be sent.
    Wait,
    /// It was carried out; this is the frame with its result.
    Repeat(Vec<u8>),
    Refuse(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(payload: usize) -> Pending {
        Pending::new("s".into(), "m".into(), vec![0; payload], HashMap::new())
    }

    #[test]
    fn a_step_is_carried_out_once_and_its_result_repeated_to_the_next_daemon() {
        let mut requests = Requests::default();
        let seq = requests.add(pending(1)).unwrap();
        let ticket = Ticket { seq, step: 1 };
        assert_eq!(requests.begin(ticket, 1), Begin::CarryOut);
        assert_eq!(requests.begin(ticket, 1), Begin::Wait);
        assert!(requests.finish(ticket, b"result", true, 1));
        assert!(!requests.finish(ticket, b"other", true, 1));
        assert_eq!(requests.begin(ticket, 2), Begin::Repeat(b"result".to_vec()));
    }

    #[test]
    fn a_result_goes_only_to_the_daemon_that_asked_for_it() {
        let mut requests = Requests::default();
        let seq = requests.add(pending(1)).unwrap();
        let ticket = Ticket { seq, step: 1 };
        requests.begin(ticket, 1);
        assert!(!requests.finish(ticket, b"result", true, 2));
        requests.begin(Ticket { seq, step: 2 }, 1);
        assert_eq!(requests.begin(Ticket { seq, step: 2 }, 2), Begin::Wait);
        assert!(requests.finish(Ticket { seq, step: 2 }, b"result", true, 2));
    }

    #[test]
    fn a_result_that_is_not_kept_is_got_again() {
        let mut requests = Requests::default();
        let seq = requests.add(pending(1)).unwrap();
        let ticket = Ticket { seq, step: 1 };
        requests.begin(ticket, 1);
        assert!(requests.finish(ticket, b"result", false, 1));
        assert_eq!(requests.begin(ticket, 2), Begin::CarryOut);
    }

    #[test]
    fn number_and_bytes_of_requests_are_bounded_but_notices_are_never_refused() {
        let mut requests = Requests::default();
        while requests.map.len() < MOST_REQUESTS {
            requests.add(pending(1)).unwrap();
        }
        assert!(requests.add(pending(1)).is_err());
        let notice = Pending {
            notice: Some(Notice::OomKilled("c".into())),
            ..pending(1)
        };
        requests.add(notice).unwrap();

        let mut requests = Requests::default();
        let first = requests.add(pending(MOST_BYTES - 100)).unwrap();
        assert!(requests.add(pending(200)).is_err());
        requests.remove(first);
        requests.add(pending(200)).unwrap();
    }

    #[test]
    fn a_request_that_no_daemon_saw_goes_with_its_client_and_one_that_was_sent_stays() {
        let mut requests = Requests::default();
        let waiter = |connection| {
            vec![Waiter {
                connection,
                stream: 1,
                expires: None,
            }]
        };
        let unseen = requests
            .add(Pending {
                waiters: waiter(1),
                ..pending(1)
            })
            .unwrap();
        let seen = requests
            .add(Pending {
                waiters: waiter(1),
                ..pending(1)
            })
            .unwrap();
        requests.message(seen, 1).unwrap();
        assert_eq!(requests.forget_connection(1, 1), []);
        assert!(requests.get(unseen).is_none());
        assert!(requests.get(seen).unwrap().waiters.is_empty());
    }

    #[test]
    fn what_is_answered_leaves_no_deadline() {
        let mut requests = Requests::default();
        let now = Instant::now();
        let hour = now + Duration::from_secs(3600);
        let long = requests.add(pending(1)).unwrap();
        let short = requests.add(pending(1)).unwrap();
        for time in [hour, hour, now] {
            requests.limit(long, time);
        }
        requests.limit(short, now);
        assert_eq!(requests.next_deadline(), Some(now));
        let over: Vec<_> = std::iter::from_fn(|| requests.overdue(now)).collect();
        assert_eq!(over, [long, short]);
        assert_eq!(requests.next_deadline(), Some(hour));
        requests.remove(long);
        assert_eq!(requests.next_deadline(), None);
    }

    #[test]
    fn a_question_goes_with_the_last_who_asked_it() {
        let mut requests = Requests::default();
        let waiter = |connection| Waiter {
            connection,
            stream: 1,
            expires: None,
        };
        let question = |waiters| Pending {
            waiters,
            question: Some(Question::Connect("c".into())),
            ..pending(1)
        };
        let shared = requests.add(question(vec![waiter(1), waiter(2)])).unwrap();
        let answered = requests.add(question(Vec::new())).unwrap();
        for seq in [shared, answered] {
            requests.message(seq, 7).unwrap();
        }
        assert_eq!(requests.forget_connection(1, 7), []);
        assert_eq!(requests.forget_connection(2, 7), [shared]);
        assert!(requests.get(shared).is_none());
        assert!(
            requests.get(answered).is_some(),
            "its reply is under way and may carry changes"
        );
        assert!(requests.was_given(shared) && !requests.was_given(answered + 1));
    }

    #[test]
    fn the_time_left_shrinks_and_never_says_none() {
        let mut requests = Requests::default();
        let expires = Some(Instant::now());
        let seq = requests
            .add(Pending {
                expires,
                ..pending(1)
            })
            .unwrap();
        assert_eq!(requests.message(seq, 1).unwrap().timeout_nanos, 1);
        assert!(requests.message(seq, 2).unwrap().replayed);
    }
}
