//! containerd's connections: ttrpc frames in, answers out.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use prost::Message;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, accept_with, recv};

use crate::deframe::{Deframer, Piece};
use crate::door;
use crate::keeper::{Keeper, Timer};
use crate::outbox::Outbox;
use crate::reactor::{Interest, Source};
use crate::requests::Waiter;
use crate::ttrpc::{Answer, DATA, FrameHeader, REQUEST, RESPONSE, Request, code};

/// More connections than any containerd makes: one per container and one per `delete`.
const MOST_CONNECTIONS: usize = 1024;

/// Calls that a client may have under way; Waits count, and stay for days.
const MOST_CALLS: usize = 2048;

/// Answers that a client may leave unread before it is cut off.
const MOST_UNREAD: usize = 32 << 20;

/// After an attempt to accept a connection for which the host had nothing left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Reads per wake-up, so that one connection doesn't starve the others.
const READS: usize = 16;

pub struct Client {
    socket: OwnedFd,
    deframer: Deframer<FrameHeader>,
    outbox: Outbox,
    last_stream: u32,
    /// Calls that have not been answered.
    calls: usize,
    last_read: Instant,
    /// A timer looks after a frame that has begun and not ended.
    watched: bool,
    writing: bool,
}

/// A frame's meaning.
enum Call {
    Request(u32, Request),
    Refuse(u32, Answer),
    Ignore,
}

impl Client {
    fn understand(&mut self, piece: Piece<FrameHeader>) -> Call {
        let (header, payload) = match piece {
            Piece::Frame(header, payload) => (header, payload),
            Piece::TooLong(header, length) => {
                if header.kind != REQUEST {
                    return Call::Ignore;
                }
                self.last_stream = self.last_stream.max(header.stream);
                let text = format!(
                    "request: {length} bytes are more than a ttrpc frame's {}",
                    crate::ttrpc::LONGEST_PAYLOAD
                );
                return Call::Refuse(header.stream, Answer::error(code::RESOURCE_EXHAUSTED, text));
            }
        };
        let refuse =
            |text: &str| Call::Refuse(header.stream, Answer::error(code::INVALID_ARGUMENT, text));
        match header.kind {
            // Of streams that the daemon has refused, and answers to nothing.
            DATA | RESPONSE => Call::Ignore,
            REQUEST if header.stream % 2 == 0 => refuse("stream id: even, a client's are odd"),
            REQUEST if header.stream <= self.last_stream => {
                refuse("stream id: not above the ones before")
            }
            REQUEST => {
                self.last_stream = header.stream;
                match Request::decode(&payload[..]) {
                    Ok(request) => Call::Request(header.stream, request),
                    Err(error) => refuse(&format!("request: {error}")),
                }
            }
            _ => refuse("frame: unknown type"),
        }
    }
}

impl Keeper {
    /// Takes the connections that wait.
    pub fn accept(&mut self) {
        for _ in 0..READS {
            let Some(listener) = &self.listener else {
                return;
            };
            // A look at the peer takes a descriptor as well; without one a connection would be refused that can wait as well.
            let spare = match rustix::io::fcntl_dupfd_cloexec(listener, 0) {
                Ok(spare) => spare,
                Err(error) => return self.pause_accepting(error),
            };
            let socket = match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(error) => return self.pause_accepting(error),
            };
            drop(spare);
            if let Some(why) = crate::peer::refuse(&socket) {
                self.log.warning(format_args!("connection refused: {why}"));
                continue;
            }
            if self.clients.len() >= MOST_CONNECTIONS {
                self.log.warning(format_args!(
                    "connection refused: {MOST_CONNECTIONS} are open"
                ));
                continue;
            }
            let id = self.reactor.fresh_id();
            if let Err(error) = self
                .reactor
                .add(&socket, Source::Client, id, Interest::Read)
            {
                self.log.error(format_args!("watch a connection: {error}"));
                continue;
            }
            let client = Client {
                socket,
                deframer: Deframer::default(),
                outbox: Outbox::default(),
                last_stream: 0,
                calls: 0,
                last_read: Instant::now(),
                watched: false,
                writing: false,
            };
            self.clients.insert(id, client);
        }
    }

    /// The host has nothing left for a connection. The socket would wake the loop again at once: who waits there waits a little.
    fn pause_accepting(&mut self, error: Errno) {
        let failure = crate::problem::failure("accept", "a connection", error);
        self.log.error(crate::problem::text(&failure));
        if let Some(listener) = &self.listener {
            self.reactor.remove(listener);
        }
        self.reactor.after(ACCEPT_PAUSE, Timer::Accept);
    }

    /// The pause is over.
    pub fn accept_again(&mut self) {
        let Some(listener) = &self.listener else {
            return;
        };
        match self
            .reactor
            .add(listener, Source::Listener, 0, Interest::Read)
        {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => self.pause_accepting(error),
        }
    }

    pub fn client_ready(&mut self, id: u64, writable: bool) {
        if writable {
            self.flush_client(id);
        }
        let mut buffer = [0u8; 8192];
        for _ in 0..READS {
            let Some(client) = self.clients.get_mut(&id) else {
                return;
            };
            match read(client.socket.as_fd(), &mut buffer) {
                Ok(Some(count)) => {
                    client.last_read = Instant::now();
                    let mut input = &buffer[..count];
                    while let Some(client) = self.clients.get_mut(&id) {
                        let Some(piece) = client.deframer.next(&mut input) else {
                            break;
                        };
                        let call = client.understand(piece);
                        if !matches!(call, Call::Ignore) {
                            client.calls += 1;
                        }
                        let full = client.calls > MOST_CALLS;
                        match call {
                            Call::Request(stream, _) if full => {
                                let text =
                                    format!("request: {MOST_CALLS} calls wait on this connection");
                                let waiter = Waiter {
                                    connection: id,
                                    stream,
                                    expires: None,
                                };
                                self.answer(&waiter, Answer::error(code::RESOURCE_EXHAUSTED, text));
                            }
                            Call::Request(stream, request) => self.requested(id, stream, request),
                            Call::Refuse(stream, answer) => {
                                self.answer(
                                    &Waiter {
                                        connection: id,
                                        stream,
                                        expires: None,
                                    },
                                    answer,
                                );
                            }
                            Call::Ignore => {}
                        }
                    }
                    if count < buffer.len() {
                        break;
                    }
                }
                Ok(None) => break,
                Err(_) => return self.close_client(id),
            }
        }
        self.watch_client(id);
    }

    /// Starts the deadline of a frame that has begun.
    fn watch_client(&mut self, id: u64) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        if client.deframer.is_inside() && !client.watched {
            client.watched = true;
            self.reactor
                .after(self.tuning.frame_silence, Timer::ClientSilence(id));
        }
    }

    pub fn client_silent(&mut self, id: u64) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        client.watched = false;
        if client.deframer.is_inside() && client.last_read.elapsed() >= self.tuning.frame_silence {
            self.log
                .warning("connection closed: a frame was begun and not ended");
            return self.close_client(id);
        }
        self.watch_client(id);
    }

    pub fn close_client(&mut self, id: u64) {
        if let Some(client) = self.clients.remove(&id) {
            self.reactor.remove(&client.socket);
            let served = self.requests.forget_connection(id, self.link.number());
            self.cancel_requests(served);
            self.door.forget_connection(id);
            self.worked();
        }
    }

    /// Sends an answer, if its client is still there.
    pub fn answer(&mut self, waiter: &Waiter, answer: Answer) {
        if waiter.connection == door::DAEMON {
            return self.answer_call(waiter.stream, answer);
        }
        let Some(client) = self.clients.get_mut(&waiter.connection) else {
            return;
        };
        client.calls = client.calls.saturating_sub(1);
        client.outbox.push(answer.frame(waiter.stream));
        if client.outbox.bytes() > MOST_UNREAD {
            self.log
                .warning("connection closed: its answers are not read");
            return self.close_client(waiter.connection);
        }
        self.flush_client(waiter.connection);
    }

    fn flush_client(&mut self, id: u64) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        if client.outbox.flush(client.socket.as_fd()).is_err() {
            return self.close_client(id);
        }
        let writing = !client.outbox.is_empty();
        if writing != client.writing {
            client.writing = writing;
            let interest = if writing {
                Interest::ReadWrite
            } else {
                Interest::Read
            };
            let _ = self
                .reactor
                .change(&client.socket, Source::Client, id, interest);
        }
    }

    /// Whether any client still has to read an answer.
    pub fn has_unread_answers(&self) -> bool {
        self.clients
            .values()
            .any(|client| !client.outbox.is_empty())
    }
}

/// Reads once. Nothing: no bytes now. An end of file is an error, since nothing can come after it.
pub fn read(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
    match recv(socket, buffer, RecvFlags::DONTWAIT) {
        Ok((_, 0)) => Err(Errno::PIPE),
        Ok((_, count)) => Ok(Some(count)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A new stream socket that doesn't block.
pub fn stream_socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(
        AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        flags,
        None,
    )
}
