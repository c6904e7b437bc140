//! What goes over the connection to brigd, in both directions, a bounded piece at a time.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::Instant;

use wire::Message;
use wire::keeper::{Cancel, FromKeeper, ToKeeper, from_keeper, to_keeper};

use super::Outgoing;
use crate::client::read;
use crate::deframe::{Piece, plain_frame};
use crate::keeper::{Keeper, Timer};
use crate::outbox::Outbox;
use crate::reactor::{Interest, Source};

/// Encoded ahead of what the socket takes.
const AHEAD: usize = 256 << 10;

impl Keeper {
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

    pub(super) fn flush_link(&mut self) {
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
}
