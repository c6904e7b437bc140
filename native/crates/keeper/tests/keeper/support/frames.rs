//! Frames on blocking sockets, written anew so that the tests share no framing with the keeper.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use prost::Message;

/// u32 length, then the message.
pub fn send(mut stream: &UnixStream, message: &impl Message) {
    let bytes = message.encode_to_vec();
    stream
        .write_all(&(bytes.len() as u32).to_be_bytes())
        .unwrap();
    stream.write_all(&bytes).unwrap();
}

/// The next one; nothing at the end of the stream.
pub fn receive<M: Message + Default>(mut stream: &UnixStream) -> Option<M> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut bytes).ok()?;
    Some(M::decode(bytes.as_slice()).unwrap())
}

#[derive(Clone, PartialEq, Message)]
pub struct Request {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(string, tag = "2")]
    pub method: String,
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
    #[prost(int64, tag = "4")]
    pub timeout_nano: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Response {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(bytes = "vec", tag = "2")]
    pub payload: Vec<u8>,
}

impl Response {
    pub fn code(&self) -> i32 {
        self.status.as_ref().map_or(0, |status| status.code)
    }
}

/// The first two strings of a request: container and exec id.
#[derive(Clone, PartialEq, Message)]
pub struct Ids {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub exec_id: String,
}

pub fn ids(id: &str, exec_id: &str) -> Vec<u8> {
    Ids {
        id: id.into(),
        exec_id: exec_id.into(),
    }
    .encode_to_vec()
}

/// ttrpc: u32 length, u32 stream, u8 type, u8 flags, payload.
pub fn ttrpc_frame(stream: u32, kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes().to_vec();
    frame.extend(stream.to_be_bytes());
    frame.extend([kind, 0]);
    frame.extend(payload);
    frame
}

pub fn ttrpc_receive(mut stream: &UnixStream) -> Option<(u32, u8, Vec<u8>)> {
    let mut header = [0; 10];
    stream.read_exact(&mut header).ok()?;
    let number = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
    let mut payload = vec![0; number(0) as usize];
    stream.read_exact(&mut payload).ok()?;
    Some((number(4), header[8], payload))
}
