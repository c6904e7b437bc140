//! containerd, as the keeper sees it: a client of the task API, and the server that takes events.

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use prost::Message;

use super::LIMIT;
use super::frames::{Request, Response, ttrpc_frame, ttrpc_receive};

pub const TASK: &str = "containerd.task.v2.Task";

pub struct Client {
    pub stream: UnixStream,
    last: u32,
    early: Vec<(u32, Response)>,
}

impl Client {
    pub fn connect(path: &Path) -> Client {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Client {
            stream,
            last: 0,
            early: Vec::new(),
        }
    }

    /// Sends a request; its stream.
    pub fn ask(&mut self, method: &str, payload: Vec<u8>) -> u32 {
        self.ask_as(TASK, method, payload, 0)
    }

    pub fn ask_as(
        &mut self,
        service: &str,
        method: &str,
        payload: Vec<u8>,
        timeout_nano: i64,
    ) -> u32 {
        self.last += if self.last == 0 { 1 } else { 2 };
        let request = Request {
            service: service.into(),
            method: method.into(),
            payload,
            timeout_nano,
        };
        self.send(&ttrpc_frame(self.last, 1, &request.encode_to_vec()));
        self.last
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The answer on this stream, whatever comes before it.
    pub fn answer(&mut self, stream: u32) -> Response {
        loop {
            if let Some(index) = self.early.iter().position(|(other, _)| *other == stream) {
                return self.early.remove(index).1;
            }
            let (number, kind, payload) = ttrpc_receive(&self.stream).expect("an answer in time");
            assert_eq!(kind, 2);
            self.early
                .push((number, Response::decode(payload.as_slice()).unwrap()));
        }
    }

    /// Whether the keeper has closed the connection.
    pub fn is_closed(&self) -> bool {
        ttrpc_receive(&self.stream).is_none()
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct ForwardRequest {
    #[prost(message, optional, tag = "1")]
    pub envelope: Option<Envelope>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Envelope {
    #[prost(string, tag = "2")]
    pub namespace: String,
    #[prost(string, tag = "3")]
    pub topic: String,
    #[prost(message, optional, tag = "4")]
    pub event: Option<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// One connection to the events' service.
pub struct Events {
    stream: UnixStream,
}

impl Events {
    pub fn listen(dir: &Path) -> UnixListener {
        let path = dir.join("events");
        let _ = std::fs::remove_file(&path);
        UnixListener::bind(path).unwrap()
    }

    pub fn accept(listener: &UnixListener) -> Events {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Events { stream }
    }

    /// The next event and the stream to answer on.
    pub fn next(&self) -> Option<(u32, Envelope)> {
        let (number, kind, payload) = ttrpc_receive(&self.stream)?;
        let request = Request::decode(payload.as_slice()).unwrap();
        assert_eq!(kind, 1);
        assert_eq!(
            (request.service.as_str(), request.method.as_str()),
            ("containerd.services.events.ttrpc.v1.Events", "Forward")
        );
        let forward = ForwardRequest::decode(request.payload.as_slice()).unwrap();
        Some((number, forward.envelope.unwrap()))
    }

    pub fn answer(&mut self, number: u32, response: &Response) {
        self.stream
            .write_all(&ttrpc_frame(number, 2, &response.encode_to_vec()))
            .unwrap();
    }

    /// Whether nothing has come within this time.
    pub fn is_silent_for(&self, time: std::time::Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let silent = ttrpc_receive(&self.stream).is_none();
        self.stream.set_read_timeout(Some(LIMIT)).unwrap();
        silent
    }
}
