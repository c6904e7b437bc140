//! The server: one thread that waits for whichever of its sockets is ready, and answers.

use std::io::{ErrorKind, Result};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use prost::Message;
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::events::Publisher;
use crate::frames::{Connection, Frame, REQUEST, RESPONSE};
use crate::messages::{Request, Response, Status};
use crate::task::{Reply, Task, code};

const SERVICES: [&str; 2] = ["containerd.task.v2.Task", "containerd.task.v3.Task"];

/// How long the last events may take after Shutdown.
const FLUSH: Duration = Duration::from_secs(1);

/// A connection, and the Waits that came by it: stream id and payload.
struct Client {
    connection: Connection,
    waits: Vec<(u32, Vec<u8>)>,
}

/// Serves until the container is deleted and Shutdown has been called.
///
/// # Errors
/// The kernel's, of the listening socket.
pub fn run(listener: &UnixListener, task: Task, events: Publisher, socket: &Path) -> Result<()> {
    let mut server = Server {
        task,
        events,
        end: None,
    };
    let mut clients: Vec<Client> = Vec::new();
    loop {
        if let Some(end) = server.end {
            let _ = std::fs::remove_file(socket);
            if server.events.is_idle() || Instant::now() >= end {
                return Ok(());
            }
        }
        let ready = wait_for(listener, &server, &clients)?;
        if ready.events {
            server.events.receive();
        }
        let mut number = 0;
        clients.retain_mut(|client| {
            number += 1;
            !ready.clients[number - 1] || server.serve(client).is_ok()
        });
        for client in &mut clients {
            // A client that is gone is seen at the next poll.
            let _ = server.answer_waits(client);
        }
        // After the answers, which it must not hold up.
        server.events.send();
        if ready.listener {
            clients.push(Client {
                connection: Connection::new(listener.accept()?.0),
                waits: Vec::new(),
            });
        }
    }
}

struct Ready {
    listener: bool,
    events: bool,
    clients: Vec<bool>,
}

fn wait_for(listener: &UnixListener, server: &Server, clients: &[Client]) -> Result<Ready> {
    let mut polled = vec![PollFd::new(listener, PollFlags::IN)];
    polled.extend(
        clients
            .iter()
            .map(|client| PollFd::new(client.connection.socket(), PollFlags::IN)),
    );
    polled.extend(
        server
            .events
            .socket()
            .map(|socket| PollFd::new(socket, PollFlags::IN)),
    );
    let patience = Timespec {
        tv_sec: 0,
        tv_nsec: 100_000_000,
    };
    loop {
        match rustix::event::poll(&mut polled, server.end.map(|_| &patience)) {
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
    Ok(Ready {
        listener: ready[0],
        clients: ready[1..=clients.len()].to_vec(),
        events: ready.get(clients.len() + 1).copied().unwrap_or(false),
    })
}

struct Server {
    task: Task,
    events: Publisher,
    /// Set by Shutdown: when to go at the latest.
    end: Option<Instant>,
}

impl Server {
    fn serve(&mut self, client: &mut Client) -> Result<()> {
        for frame in client.connection.receive()? {
            self.request(client, &frame)?;
        }
        Ok(())
    }

    fn request(&mut self, client: &mut Client, frame: &Frame) -> Result<()> {
        let request = match Request::decode(&frame.payload[..]) {
            Ok(request) if frame.kind == REQUEST => request,
            _ => return Err(ErrorKind::InvalidData.into()),
        };
        let reply = if SERVICES.contains(&request.service.as_str()) {
            self.task
                .call(&request.method, &request.payload, &mut self.events)
        } else {
            Reply::Failed(
                code::UNIMPLEMENTED,
                format!("{}: no such service", request.service),
            )
        };
        if request.method == "Shutdown" && self.task.is_gone() {
            self.end = Some(Instant::now() + FLUSH);
        }
        match response(reply) {
            Some(response) => client.connection.send(frame.stream, RESPONSE, &response),
            None => {
                client.waits.push((frame.stream, request.payload));
                Ok(())
            }
        }
    }

    fn answer_waits(&mut self, client: &mut Client) -> Result<()> {
        let mut unanswered = Vec::new();
        for (stream, payload) in std::mem::take(&mut client.waits) {
            match response(self.task.call("Wait", &payload, &mut self.events)) {
                Some(response) => client.connection.send(stream, RESPONSE, &response)?,
                None => unanswered.push((stream, payload)),
            }
        }
        client.waits = unanswered;
        Ok(())
    }
}

fn response(reply: Reply) -> Option<Response> {
    match reply {
        Reply::Done(payload) => Some(Response {
            status: None,
            payload,
        }),
        Reply::Failed(code, message) => Some(Response {
            status: Some(Status { code, message }),
            payload: Vec::new(),
        }),
        Reply::Later => None,
    }
}
