//! Passes events to containerd, in order, one at a time, without holding up an answer.

use std::collections::VecDeque;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::SystemTime;

use prost::Message;

use crate::frames::{Connection, REQUEST};
use crate::messages::{Any, Envelope, ForwardRequest, Request};

const SERVICE: &str = "containerd.services.events.ttrpc.v1.Events";

/// The queue of events and the connection they leave by, made for the first of them.
pub struct Publisher {
    namespace: String,
    address: PathBuf,
    waiting: VecDeque<Envelope>,
    connection: Option<Connection>,
    stream: u32,
    in_flight: bool,
}

impl Publisher {
    pub fn new(namespace: String, address: PathBuf) -> Self {
        Publisher {
            namespace,
            address,
            waiting: VecDeque::new(),
            connection: None,
            stream: 1,
            in_flight: false,
        }
    }

    /// Appends an event that happens now.
    pub fn publish(&mut self, topic: &str, type_url: &str, event: &impl Message) {
        self.waiting.push_back(Envelope {
            timestamp: Some(SystemTime::now().into()),
            namespace: self.namespace.clone(),
            topic: topic.to_owned(),
            event: Some(Any {
                type_url: type_url.to_owned(),
                value: event.encode_to_vec(),
            }),
        });
    }

    /// The socket to watch for the answer under way.
    pub fn socket(&self) -> Option<&UnixStream> {
        self.connection.as_ref().map(Connection::socket)
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.in_flight
    }

    /// Takes the answer that the socket is ready with.
    pub fn receive(&mut self) {
        match self.connection.as_mut().map(Connection::receive) {
            Some(Ok(answers)) => self.in_flight &= answers.is_empty(),
            _ => self.lose(),
        }
    }

    /// Sends the next event unless one is under way.
    pub fn send(&mut self) {
        while !self.in_flight
            && let Some(envelope) = self.waiting.pop_front()
        {
            let request = Request {
                service: SERVICE.to_owned(),
                method: "Forward".to_owned(),
                payload: ForwardRequest {
                    envelope: Some(envelope),
                }
                .encode_to_vec(),
            };
            self.in_flight = self.connect().is_some_and(|(connection, stream)| {
                connection.send(stream, REQUEST, &request).is_ok()
            });
            if !self.in_flight {
                self.lose();
            }
        }
    }

    fn connect(&mut self) -> Option<(&mut Connection, u32)> {
        if self.connection.is_none() {
            let socket = UnixStream::connect(&self.address).ok()?;
            self.connection = Some(Connection::new(socket));
            self.stream = 1;
        } else {
            self.stream += 2;
        }
        let stream = self.stream;
        self.connection
            .as_mut()
            .map(|connection| (connection, stream))
    }

    fn lose(&mut self) {
        self.connection = None;
        self.in_flight = false;
    }
}
