//! ttrpc's frames: u32 length and u32 stream id (big-endian), u8 type, u8 flags, payload.

use std::io::{Error, Read, Result, Write};
use std::os::unix::net::UnixStream;

use prost::Message;

const HEADER: usize = 10;

/// Longest payload (ttrpc's own limit); a longer one ends the connection here.
const LONGEST: usize = 4 << 20;

/// Most that one read takes.
const PART: usize = 16 << 10;

pub const REQUEST: u8 = 1;
pub const RESPONSE: u8 = 2;

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    pub stream: u32,
    pub kind: u8,
    pub payload: Vec<u8>,
}

/// A connected socket and what has been read of its next frame.
pub struct Connection {
    socket: UnixStream,
    unread: Vec<u8>,
}

impl Connection {
    pub fn new(socket: UnixStream) -> Self {
        Connection {
            socket,
            unread: Vec::new(),
        }
    }

    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Reads once, and gives the frames that are complete now.
    ///
    /// # Errors
    /// The connection is at its end, or what comes is no frame.
    pub fn receive(&mut self) -> Result<Vec<Frame>> {
        let filled = self.unread.len();
        self.unread.resize(filled + PART, 0);
        let read = self.socket.read(&mut self.unread[filled..])?;
        self.unread.truncate(filled + read);
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let mut frames = Vec::new();
        while let Some(frame) = cut(&mut self.unread)? {
            frames.push(frame);
        }
        Ok(frames)
    }

    /// Writes a message as one frame.
    ///
    /// # Errors
    /// The other end is gone.
    pub fn send(&mut self, stream: u32, kind: u8, message: &impl Message) -> Result<()> {
        self.socket.write_all(&frame(stream, kind, message))
    }
}

fn frame(stream: u32, kind: u8, message: &impl Message) -> Vec<u8> {
    let length = message.encoded_len();
    let mut bytes = Vec::with_capacity(HEADER + length);
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(&[kind, 0]);
    bytes.extend_from_slice(&message.encode_to_vec());
    bytes
}

/// Takes the first frame off the front, if it is complete.
fn cut(bytes: &mut Vec<u8>) -> Result<Option<Frame>> {
    let Some(&[l0, l1, l2, l3, s0, s1, s2, s3, kind, _]) = bytes.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    if length > LONGEST {
        return Err(Error::other(format!(
            "read a frame: {length} bytes are too many"
        )));
    }
    if bytes.len() < HEADER + length {
        return Ok(None);
    }
    let payload = bytes[HEADER..HEADER + length].to_vec();
    bytes.drain(..HEADER + length);
    Ok(Some(Frame {
        stream: u32::from_be_bytes([s0, s1, s2, s3]),
        kind,
        payload,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::StartResponse;
    use proptest::prelude::*;

    #[test]
    fn a_frame_in_two_parts_comes_out_once_it_is_whole() {
        let whole = frame(7, REQUEST, &StartResponse { pid: 300 });
        let mut bytes = whole[..whole.len() - 1].to_vec();
        assert_eq!(cut(&mut bytes).expect("no fault"), None);
        bytes.push(whole[whole.len() - 1]);
        let frame = cut(&mut bytes).expect("no fault").expect("complete");
        assert_eq!(
            (frame.stream, frame.kind, frame.payload.len()),
            (7, REQUEST, 3)
        );
        assert!(bytes.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_end(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            while let Ok(Some(_)) = cut(&mut bytes) {}
        }
    }
}
