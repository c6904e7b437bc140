//! The pod's events on their way to containerd: in order, one at a time, tried again for as long as it takes, bounded.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use prost::Message;
use rustix::net::SocketAddrUnix;
use wire::keeper::Event;

use crate::client::{read, stream_socket};
use crate::containerd::{Any, Envelope, ForwardRequest, Timestamp};
use crate::deframe::{Deframer, Piece};
use crate::keeper::{Keeper, Timer};
use crate::outbox::Outbox;
use crate::reactor::{Interest, Source};
use crate::ttrpc::{FrameHeader, REQUEST, RESPONSE, Request, Response, code, frame};

const MOST_EVENTS: usize = 2048;
const MOST_BYTES: usize = 4 << 20;
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Events that clients can't do without: when the queue is full, the others go first.
const NEEDED: [&str; 3] = ["/tasks/exit", "/tasks/delete", "/tasks/oom"];

struct Connection {
    socket: OwnedFd,
    deframer: Deframer<FrameHeader>,
    outbox: Outbox,
    last_stream: u32,
    writing: bool,
}

pub struct Publisher {
    address: PathBuf,
    namespace: String,
    queue: VecDeque<Event>,
    bytes: usize,
    connection: Option<Connection>,
    /// Number of the connection.
    number: u64,
    /// The attempt under way: its number and its stream.
    sent: Option<(u64, u32)>,
    pause: Duration,
    paused: bool,
    /// Events that were never published.
    pub lost: u64,
    /// A failure has been logged since the last success.
    complained: bool,
}

impl Publisher {
    pub fn new(address: PathBuf, namespace: &str) -> Publisher {
        Publisher {
            address,
            namespace: namespace.to_owned(),
            queue: VecDeque::new(),
            bytes: 0,
            connection: None,
            number: 0,
            sent: None,
            pause: SHORTEST_PAUSE,
            paused: false,
            lost: 0,
            complained: false,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Appends an event; returns the topics of those that are lost for it.
    pub fn push(&mut self, event: Event) -> Vec<String> {
        let mut lost = Vec::new();
        let dispensable = |event: &Event| !NEEDED.contains(&event.topic.as_str());
        while self.queue.len() >= MOST_EVENTS || self.bytes + size(&event) > MOST_BYTES {
            // The first may be under way.
            let victim = self
                .queue
                .iter()
                .skip(1)
                .position(dispensable)
                .map_or(1, |index| index + 1);
            self.lost += 1;
            match self.queue.remove(victim) {
                Some(victim) => {
                    self.bytes -= size(&victim);
                    lost.push(victim.topic);
                }
                None => {
                    lost.push(event.topic);
                    return lost;
                }
            }
        }
        self.bytes += size(&event);
        self.queue.push_back(event);
        lost
    }

    fn pop(&mut self) {
        if let Some(event) = self.queue.pop_front() {
            self.bytes -= size(&event);
        }
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    fn forward(&self, event: &Event, limit: Duration) -> Request {
        let envelope = Envelope {
            timestamp: Some(Timestamp {
                seconds: event.timestamp_seconds,
                nanos: event.timestamp_nanos,
            }),
            namespace: self.namespace.clone(),
            topic: event.topic.clone(),
            event: Some(Any {
                type_url: event.type_url.clone(),
                value: event.value.clone(),
            }),
        };
        Request {
            service: "containerd.services.events.ttrpc.v1.Events".to_owned(),
            method: "Forward".to_owned(),
            payload: ForwardRequest {
                envelope: Some(envelope),
            }
            .encode_to_vec(),
            timeout_nano: i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX),
            metadata: Vec::new(),
        }
    }
}

fn size(event: &Event) -> usize {
    event.topic.len() + event.type_url.len() + event.value.len()
}

impl Keeper {
    /// Sends the next event, unless one is under way or a pause is.
    pub fn publish(&mut self) {
        if self.publisher.sent.is_some() || self.publisher.paused {
            return;
        }
        let Some(event) = self.publisher.queue.front() else {
            return;
        };
        let request = self.publisher.forward(event, self.tuning.forward);
        if self.publisher.connection.is_none()
            && let Err(error) = self.open_events()
        {
            return self.forward_failed(&crate::problem::cause(error));
        }
        let attempt = self.reactor.fresh_id();
        let Some(connection) = &mut self.publisher.connection else {
            return;
        };
        // A client's streams are odd: 1, 3, 5.
        let stream = connection.last_stream + if connection.last_stream == 0 { 1 } else { 2 };
        connection.last_stream = stream;
        connection.outbox.push(frame(stream, REQUEST, &request));
        self.publisher.sent = Some((attempt, stream));
        self.reactor
            .after(self.tuning.forward, Timer::ForwardLimit(attempt));
        self.flush_events();
    }

    /// The pause after a failure is over.
    pub fn publish_again(&mut self) {
        self.publisher.paused = false;
        self.publish();
    }

    fn open_events(&mut self) -> Result<(), rustix::io::Errno> {
        let socket = stream_socket()?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(&self.publisher.address)?)?;
        let number = self.reactor.fresh_id();
        self.reactor
            .add(&socket, Source::Containerd, number, Interest::Read)?;
        self.publisher.number = number;
        self.publisher.connection = Some(Connection {
            socket,
            deframer: Deframer::default(),
            outbox: Outbox::default(),
            last_stream: 0,
            writing: false,
        });
        Ok(())
    }

    fn flush_events(&mut self) {
        let number = self.publisher.number;
        let Some(connection) = &mut self.publisher.connection else {
            return;
        };
        if let Err(error) = connection.outbox.flush(connection.socket.as_fd()) {
            return self.lose_events(&crate::problem::cause(error));
        }
        let writing = !connection.outbox.is_empty();
        if writing != connection.writing {
            connection.writing = writing;
            let interest = if writing {
                Interest::ReadWrite
            } else {
                Interest::Read
            };
            let _ = self
                .reactor
                .change(&connection.socket, Source::Containerd, number, interest);
        }
    }

    pub fn publisher_ready(&mut self, number: u64, writable: bool) {
        if number != self.publisher.number {
            return;
        }
        if writable {
            self.flush_events();
        }
        let mut buffer = [0u8; 4096];
        loop {
            let Some(connection) = &mut self.publisher.connection else {
                return;
            };
            let count = match read(connection.socket.as_fd(), &mut buffer) {
                Ok(Some(count)) => count,
                Ok(None) => return,
                Err(error) => return self.lose_events(&crate::problem::cause(error)),
            };
            let mut input = &buffer[..count];
            while let Some(connection) = &mut self.publisher.connection {
                let Some(piece) = connection.deframer.next(&mut input) else {
                    break;
                };
                let Piece::Frame(header, payload) = piece else {
                    return self.lose_events("an answer of more than 4 MiB");
                };
                let is_answer = header.kind == RESPONSE
                    && self
                        .publisher
                        .sent
                        .is_some_and(|sent| sent.1 == header.stream);
                if is_answer {
                    self.forwarded(&payload);
                }
            }
        }
    }

    fn forwarded(&mut self, payload: &[u8]) {
        self.publisher.sent = None;
        let status = Response::decode(payload).map(|response| response.status.unwrap_or_default());
        match status {
            Ok(status) if status.code == code::OK => {
                self.publisher.complained = false;
                self.publisher.pause = SHORTEST_PAUSE;
                self.publisher.pop();
                if self.publisher.is_empty() {
                    // A long queue has left a large heap.
                    self.worked();
                }
                self.publish();
            }
            // It will never be taken.
            Ok(status) if matches!(status.code, code::INVALID_ARGUMENT | code::UNIMPLEMENTED) => {
                let topic = self
                    .publisher
                    .queue
                    .front()
                    .map(|event| event.topic.clone())
                    .unwrap_or_default();
                self.publisher.lost += 1;
                self.log.error(format_args!(
                    "event {topic}: containerd refuses it: {}; it is lost ({} so far)",
                    status.message, self.publisher.lost
                ));
                self.publisher.pop();
                self.publish();
            }
            Ok(status) => self.forward_failed(&status.message),
            Err(error) => self.lose_events(&error.to_string()),
        }
    }

    /// containerd has not taken the event in its time.
    pub fn forward_over(&mut self, attempt: u64) {
        if self.publisher.sent.is_some_and(|sent| sent.0 == attempt) {
            self.lose_events("no answer in time");
        }
    }

    fn lose_events(&mut self, why: &str) {
        if let Some(connection) = self.publisher.connection.take() {
            self.reactor.remove(&connection.socket);
        }
        self.publisher.sent = None;
        if !self.publisher.is_empty() {
            self.forward_failed(why);
        }
    }

    fn forward_failed(&mut self, why: &str) {
        if !self.publisher.complained {
            self.publisher.complained = true;
            self.log.warning(format_args!(
                "publish an event: {why}; {} wait",
                self.publisher.len()
            ));
        }
        if !self.publisher.paused {
            self.publisher.paused = true;
            self.reactor
                .after(self.publisher.pause, Timer::PublishRetry);
            self.publisher.pause = (self.publisher.pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(topic: &str, bytes: usize) -> Event {
        Event {
            topic: topic.into(),
            value: vec![0; bytes],
            ..Event::default()
        }
    }

    #[test]
    fn a_full_queue_loses_what_clients_need_least_and_says_so() {
        let mut publisher = Publisher::new(PathBuf::new(), "ns");
        assert!(publisher.push(event("/tasks/exit", 0)).is_empty());
        assert!(publisher.push(event("/tasks/exec-added", 0)).is_empty());
        while publisher.len() < MOST_EVENTS {
            assert!(publisher.push(event("/tasks/exit", 0)).is_empty());
        }
        assert_eq!(
            publisher.push(event("/tasks/exit", 0)),
            ["/tasks/exec-added"]
        );
        assert_eq!(publisher.push(event("/tasks/exit", 0)), ["/tasks/exit"]);
        assert_eq!(publisher.len(), MOST_EVENTS);
    }

    #[test]
    fn the_bytes_of_a_queue_are_bounded() {
        let mut publisher = Publisher::new(PathBuf::new(), "ns");
        for _ in 0..10 {
            publisher.push(event("/tasks/create", 1 << 20));
        }
        assert!(publisher.bytes <= MOST_BYTES);
        assert!(publisher.len() >= 3);
    }

    #[test]
    fn one_large_event_costs_as_many_small_ones_as_it_takes() {
        let mut publisher = Publisher::new(PathBuf::new(), "ns");
        for _ in 0..MOST_EVENTS - 10 {
            publisher.push(event("/tasks/create", 1000));
        }
        for _ in 0..10 {
            publisher.push(event("/tasks/exit", 1 << 20));
            assert!(publisher.bytes <= MOST_BYTES);
        }
        let counted: usize = publisher.queue.iter().map(size).sum();
        assert_eq!(publisher.bytes, counted);
        assert_eq!(
            publisher.push(event("/tasks/exit", MOST_BYTES)).last(),
            Some(&"/tasks/exit".to_owned())
        );
    }
}
