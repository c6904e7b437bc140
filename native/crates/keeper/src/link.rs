//! The connection to brigd: made again whenever it is lost, with everything that is kept said again.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::net::SocketAddrUnix;
use wire::Message;
use wire::keeper::{
    Cancel, FromKeeper, Opening, StepResult, ToKeeper, Welcome, from_keeper, opening, step_result,
    to_keeper,
};

use crate::client::{read, stream_socket};
use crate::deframe::{Deframer, Piece, Plain, plain_frame};
use crate::door;
use crate::keeper::{Keeper, Timer};
use crate::outbox::Outbox;
use crate::problem::Outcome;
use crate::reactor::{Interest, Source};
use crate::requests::{Begin, Ticket};
use crate::worker::Purpose;

const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Between two attempts to start the daemon.
const BETWEEN_STARTS: Duration = Duration::from_secs(1);
/// How long starting it may take.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Encoded ahead of what the socket takes.
const AHEAD: usize = 256 << 10;
/// First version of the protocol that has Cancel.
const CANCEL_VERSION: u32 = 1001;

enum Outgoing {
    Request(u64),
    Frame(Vec<u8>),
}

struct Connection {
    socket: OwnedFd,
    deframer: Deframer<Plain>,
    outbox: Outbox,
    /// Welcome has come: requests flow.
    welcome: bool,
    /// Its version knows Cancel.
    cancels: bool,
    /// Writing failed, for this reason: nothing more is sent, and the link is lost once what had come has been read.
    deaf: Option<String>,
    last_read: Instant,
    watched: bool,
    writing: bool,
}

pub struct Link {
    connection: Option<Connection>,
    /// Number of the connection; results are owed to the connection that asked.
    number: u64,
    queue: VecDeque<Outgoing>,
    pause: Duration,
    last_start: Option<Instant>,
    starting: bool,
    /// Of the last daemon that said Welcome.
    version: Option<String>,
    /// The last refusal, so that it is logged once.
    refused: String,
}

impl Link {
    pub fn new() -> Link {
        Link {
            connection: None,
            number: 0,
            queue: VecDeque::new(),
            pause: SHORTEST_PAUSE,
            last_start: None,
            starting: false,
            version: None,
            refused: String::new(),
        }
    }

    pub fn is_up(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| connection.welcome)
    }

    /// Why the last daemon that said anything wouldn't serve this pod.
    pub fn refusal(&self) -> Option<String> {
        (!self.refused.is_empty()).then(|| self.refused.clone())
    }

    /// Of the present connection, or the last one.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What Connect says; before any daemon was there, this program's.
    pub fn daemon_version(&self) -> &str {
        self.version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"))
    }

    pub fn start_ended(&mut self) {
        self.starting = false;
    }
}

impl Keeper {
    /// Tries to reach the daemon; starts it where nobody listens.
    pub fn connect_daemon(&mut self) {
        if self.link.connection.is_some() || self.leaving {
            return;
        }
        match self.open_link() {
            Ok(()) => {}
            Err(error) => {
                if matches!(
                    error,
                    rustix::io::Errno::CONNREFUSED | rustix::io::Errno::NOENT
                ) {
                    self.start_daemon();
                } else {
                    self.log
                        .warning(format_args!("connect to the daemon: {error}"));
                }
                self.retry_link();
            }
        }
    }

    fn open_link(&mut self) -> Result<(), rustix::io::Errno> {
        let socket = stream_socket()?;
        rustix::net::connect(
            &socket,
            &SocketAddrUnix::new(self.config.run_dir.join("brigd.sock"))?,
        )?;
        let number = self.reactor.fresh_id();
        self.reactor
            .add(&socket, Source::Daemon, number, Interest::Read)?;
        self.link.number = number;
        let mut connection = Connection {
            socket,
            deframer: Deframer::default(),
            outbox: Outbox::default(),
            welcome: false,
            cancels: false,
            deaf: None,
            last_read: Instant::now(),
            watched: false,
            writing: false,
        };
        let hello = Opening {
            role: Some(opening::Role::Keeper(self.hello())),
        };
        connection.outbox.push(plain_frame(&hello));
        self.link.connection = Some(connection);
        self.reactor
            .after(self.tuning.greeting, Timer::Greeting(number));
        self.flush_link();
        Ok(())
    }

    fn retry_link(&mut self) {
        self.reactor.after(self.link.pause, Timer::LinkRetry);
        self.link.pause = (self.link.pause * 2).min(LONGEST_PAUSE);
    }

    fn start_daemon(&mut self) {
        let recently = self
            .link
            .last_start
            .is_some_and(|time| time.elapsed() < BETWEEN_STARTS);
        if self.link.starting || recently {
            return;
        }
        self.link.last_start = Some(Instant::now());
        let (start, run_dir) = (self.config.start_daemon, self.config.run_dir.clone());
        let body = move || match start(&run_dir) {
            Ok(()) => crate::problem::done(),
            Err(error) => Err(crate::problem::failed_io(
                "start the daemon",
                run_dir.display(),
                &error,
            )),
        };
        match self.work(Purpose::StartDaemon, START_LIMIT, body) {
            Ok(()) => self.link.starting = true,
            Err(failure) => self.log.error(crate::problem::text(&failure)),
        }
    }

    /// The daemon is gone or of no use.
    pub fn lose_link(&mut self, why: &str) {
        let Some(connection) = self.link.connection.take() else {
            return;
        };
        self.reactor.remove(&connection.socket);
        self.link.queue = VecDeque::new();
        // What was sent to it is sent to the next: nobody is to be told of a cancel.
        let _ = self
            .requests
            .forget_connection(door::DAEMON, self.link.number);
        if !self.leaving {
            let why = connection.deaf.as_deref().unwrap_or(why);
            self.log.info(format_args!("the daemon is gone: {why}"));
            self.retry_link();
        }
    }

    pub fn link_ready(&mut self, number: u64, writable: bool) {
        if number != self.link.number {
            return;
        }
        if writable {
            self.flush_link();
        }
        let mut buffer = [0u8; 8192];
        for _ in 0..16 {
            let Some(connection) = &mut self.link.connection else {
                return;
            };
            let count = match read(connection.socket.as_fd(), &mut buffer) {
                Ok(Some(count)) => count,
                Ok(None) => break,
                Err(error) => return self.lose_link(&crate::problem::cause(error)),
            };
            connection.last_read = Instant::now();
            let mut input = &buffer[..count];
            while let Some(connection) = &mut self.link.connection {
                if number != self.link.number {
                    return;
                }
                let Some(piece) = connection.deframer.next(&mut input) else {
                    break;
                };
                let message = match piece {
                    Piece::Frame(_, payload) => {
                        ToKeeper::decode(&payload[..]).map_err(|error| error.to_string())
                    }
                    Piece::TooLong(_, length) => Err(format!("a frame of {length} bytes")),
                };
                match message {
                    Ok(message) => self.told_by_daemon(message),
                    Err(error) => return self.lose_link(&error),
                }
            }
            if count < buffer.len() {
                break;
            }
        }
        self.watch_link();
    }

    fn watch_link(&mut self) {
        let Some(connection) = &mut self.link.connection else {
            return;
        };
        if connection.deframer.is_inside() && !connection.watched {
            connection.watched = true;
            self.reactor.after(
                self.tuning.frame_silence,
                Timer::LinkSilence(self.link.number),
            );
        }
    }

    pub fn link_silent(&mut self, number: u64) {
        let Some(connection) = &mut self.link.connection else {
            return;
        };
        if number != self.link.number {
            return;
        }
        connection.watched = false;
        if connection.deframer.is_inside()
            && connection.last_read.elapsed() >= self.tuning.frame_silence
        {
            return self.lose_link("a frame was begun and not ended");
        }
        self.watch_link();
    }

    /// The time for Welcome is over.
    pub fn greeting_over(&mut self, number: u64) {
        if number == self.link.number && self.link.connection.is_some() && !self.link.is_up() {
            self.lose_link("it does not say Welcome");
        }
    }

    fn told_by_daemon(&mut self, message: ToKeeper) {
        match message.message {
            Some(to_keeper::Message::Welcome(welcome)) => self.welcomed(welcome),
            Some(to_keeper::Message::Step(step)) if self.link.is_up() => self.step(step),
            Some(to_keeper::Message::Reply(reply)) if self.link.is_up() => self.apply(reply),
            Some(to_keeper::Message::Call(call)) if self.link.is_up() => self.called(call),
            Some(to_keeper::Message::CancelCall(cancelled)) if self.link.is_up() => {
                self.call_cancelled(cancelled.id);
            }
            Some(_) => self.lose_link("it spoke before Welcome"),
            None => self
                .log
                .warning("the daemon sent a message of an unknown kind"),
        }
    }

    fn welcomed(&mut self, welcome: Welcome) {
        let mut refused = welcome.refused;
        if refused.is_empty() && welcome.protocol_version / 1000 != wire::KEEPER_VERSION / 1000 {
            refused = format!(
                "it speaks version {}, this is {}",
                welcome.protocol_version,
                wire::KEEPER_VERSION
            );
        }
        if !refused.is_empty() {
            if refused != self.link.refused {
                self.log
                    .error(format_args!("the daemon refuses this keeper: {refused}"));
            }
            self.door_refused(&refused);
            self.link.refused = refused;
            self.link.pause = LONGEST_PAUSE;
            return self.lose_link("refused");
        }
        let Some(connection) = &mut self.link.connection else {
            return;
        };
        if connection.welcome {
            return;
        }
        connection.welcome = true;
        connection.cancels = welcome.protocol_version >= CANCEL_VERSION;
        self.link.refused = String::new();
        self.link.pause = SHORTEST_PAUSE;
        self.link.queue = self
            .requests
            .iter()
            .map(|(seq, _)| Outgoing::Request(seq))
            .collect();
        self.log.info(format_args!(
            "the daemon {} is there, {} requests wait",
            welcome.program_version,
            self.link.queue.len()
        ));
        self.link.version = Some(welcome.program_version);
        self.flush_link();
        self.door_opened(welcome.grpc_address);
    }

    /// Tells the daemon of requests that nobody waits for any more; they have been forgotten here.
    pub fn cancel_requests(&mut self, seqs: Vec<u64>) {
        let cancels = self.link.connection.as_ref().is_some_and(|it| it.cancels);
        if seqs.is_empty() || !cancels {
            return;
        }
        for seq in seqs {
            let message = FromKeeper {
                message: Some(from_keeper::Message::Cancel(Cancel { seq })),
            };
            self.link
                .queue
                .push_back(Outgoing::Frame(plain_frame(&message)));
        }
        self.flush_link();
    }

    /// Sends a kept request, now or as soon as the daemon is there.
    pub fn send_request(&mut self, seq: u64) {
        if self.link.is_up() {
            self.link.queue.push_back(Outgoing::Request(seq));
            self.flush_link();
        }
    }

    /// Sends something that is lost with the connection.
    pub fn send_frame(&mut self, message: from_keeper::Message) {
        if self.link.is_up() {
            let message = FromKeeper {
                message: Some(message),
            };
            self.link
                .queue
                .push_back(Outgoing::Frame(plain_frame(&message)));
            self.flush_link();
        }
    }

    fn flush_link(&mut self) {
        loop {
            let Some(connection) = &mut self.link.connection else {
                return;
            };
            if connection.deaf.is_some() {
                // All that is not sent is kept as a request or a result.
                self.link.queue = VecDeque::new();
                return;
            }
            while connection.welcome && connection.outbox.bytes() < AHEAD {
                match self.link.queue.pop_front() {
                    Some(Outgoing::Frame(frame)) => connection.outbox.push(frame),
                    Some(Outgoing::Request(seq)) => {
                        let Some(request) = self.requests.message(seq, self.link.number) else {
                            continue;
                        };
                        let message = FromKeeper {
                            message: Some(from_keeper::Message::Request(request)),
                        };
                        connection.outbox.push(plain_frame(&message));
                    }
                    None => {
                        self.link.queue = VecDeque::new();
                        break;
                    }
                }
            }
            if let Err(error) = connection.outbox.flush(connection.socket.as_fd()) {
                connection.deaf = Some(crate::problem::cause(error));
                connection.outbox = Outbox::default();
                // Reading ends where what has arrived ends, also if the other side should still be there.
                let _ = rustix::net::shutdown(&connection.socket, rustix::net::Shutdown::Both);
            }
            let writing = !connection.outbox.is_empty();
            let waited = connection.writing;
            if writing != connection.writing {
                connection.writing = writing;
                let interest = if writing {
                    Interest::ReadWrite
                } else {
                    Interest::Read
                };
                let _ = self.reactor.change(
                    &connection.socket,
                    Source::Daemon,
                    self.link.number,
                    interest,
                );
            }
            if writing {
                return;
            }
            if self.link.queue.is_empty() || !connection.welcome {
                // All is gone that had to wait.
                if waited {
                    self.worked();
                }
                return;
            }
        }
    }

    /// Decides what a step that was asked for needs; true: it is to be carried out.
    pub fn begin_step(&mut self, ticket: Ticket) -> bool {
        let frame = match self.requests.begin(ticket, self.link.number) {
            Begin::CarryOut => return true,
            Begin::Wait => return false,
            Begin::Repeat(frame) => frame,
            Begin::Refuse(why) => {
                let failure = crate::problem::explained(
                    "step",
                    ticket.seq,
                    rustix::io::Errno::INVAL,
                    why,
                    "",
                );
                result_frame(ticket, Err(failure))
            }
        };
        self.link.queue.push_back(Outgoing::Frame(frame));
        self.flush_link();
        false
    }

    /// A step's end. `keep`: the result is repeated to the next daemon instead of being got again.
    pub fn finish_with(&mut self, ticket: Ticket, outcome: Outcome, keep: bool) {
        let frame = result_frame(ticket, outcome);
        if self.requests.finish(ticket, &frame, keep, self.link.number) && self.link.is_up() {
            self.link.queue.push_back(Outgoing::Frame(frame));
            self.flush_link();
        }
        self.timeline
            .note("keeper", format_args!("step {} done", ticket.step));
    }

    pub fn finish(&mut self, ticket: Ticket, outcome: Outcome) {
        self.finish_with(ticket, outcome, true);
    }
}

fn result_frame(ticket: Ticket, outcome: Outcome) -> Vec<u8> {
    let result = outcome.unwrap_or_else(step_result::Result::Failure);
    let result = StepResult {
        seq: ticket.seq,
        step: ticket.step,
        result: Some(result),
    };
    plain_frame(&FromKeeper {
        message: Some(from_keeper::Message::StepResult(result)),
    })
}
