//! ttrpc's frames and messages, as far as unary calls need them.

use prost::Message;

use crate::deframe::{Header, big_endian};

/// Longest payload of a frame (ttrpc's own limit).
pub const LONGEST_PAYLOAD: usize = 4 << 20;

pub const REQUEST: u8 = 1;
pub const RESPONSE: u8 = 2;
pub const DATA: u8 = 3;

/// gRPC status codes.
pub mod code {
    pub const OK: i32 = 0;
    pub const INVALID_ARGUMENT: i32 = 3;
    pub const DEADLINE_EXCEEDED: i32 = 4;
    pub const NOT_FOUND: i32 = 5;
    pub const RESOURCE_EXHAUSTED: i32 = 8;
    pub const FAILED_PRECONDITION: i32 = 9;
    pub const UNIMPLEMENTED: i32 = 12;
    pub const UNAVAILABLE: i32 = 14;
}

/// u32 length, u32 stream id (both big-endian), u8 type, u8 flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    pub stream: u32,
    pub kind: u8,
}

impl Header for FrameHeader {
    const SIZE: usize = 10;
    const LIMIT: usize = LONGEST_PAYLOAD;

    fn parse(bytes: &[u8]) -> (FrameHeader, usize) {
        (
            FrameHeader {
                stream: big_endian(&bytes[4..]),
                kind: bytes[8],
            },
            big_endian(bytes) as usize,
        )
    }
}

/// ttrpc.Request
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(string, tag = "2")]
    pub method: String,
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
    /// Time left; 0: no limit.
    #[prost(int64, tag = "4")]
    pub timeout_nano: i64,
    #[prost(message, repeated, tag = "5")]
    pub metadata: Vec<KeyValue>,
}

/// ttrpc.KeyValue
#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// ttrpc.Response
#[derive(Clone, PartialEq, Message)]
pub struct Response {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(bytes = "vec", tag = "2")]
    pub payload: Vec<u8>,
}

/// google.rpc.Status
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
}

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub code: i32,
    pub message: String,
    pub payload: Vec<u8>,
}

impl Answer {
    pub fn ok(payload: Vec<u8>) -> Answer {
        Answer {
            code: code::OK,
            message: String::new(),
            payload,
        }
    }

    pub fn error(code: i32, message: impl Into<String>) -> Answer {
        Answer {
            code,
            message: message.into(),
            payload: Vec::new(),
        }
    }

    /// The frame that carries this answer; one too long for a frame becomes an error.
    pub fn frame(self, stream: u32) -> Vec<u8> {
        let status = (self.code != code::OK).then_some(Status {
            code: self.code,
            message: self.message,
        });
        let response = Response {
            status,
            payload: self.payload,
        };
        let length = response.encoded_len();
        if length > LONGEST_PAYLOAD {
            let text =
                format!("answer: {length} bytes are more than a ttrpc frame's {LONGEST_PAYLOAD}");
            return Answer::error(code::RESOURCE_EXHAUSTED, text).frame(stream);
        }
        frame(stream, RESPONSE, &response)
    }
}

/// A message as one frame.
pub fn frame(stream: u32, kind: u8, message: &impl Message) -> Vec<u8> {
    let length = message.encoded_len();
    let mut frame = Vec::with_capacity(10 + length);
    frame.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(&[kind, 0]);
    frame.extend_from_slice(&message.encode_to_vec());
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deframe::{Deframer, Piece};

    #[test]
    fn an_answer_over_the_limit_is_an_error_not_a_frame_nobody_reads() {
        let frame = Answer::ok(vec![0; LONGEST_PAYLOAD + 1]).frame(7);
        let Some(Piece::Frame(header, payload)) =
            Deframer::<FrameHeader>::default().next(&mut &frame[..])
        else {
            panic!("no frame");
        };
        assert_eq!((header.stream, header.kind), (7, RESPONSE));
        let status = Response::decode(&payload[..]).unwrap().status.unwrap();
        assert_eq!(status.code, code::RESOURCE_EXHAUSTED);
    }

    #[test]
    fn an_empty_success_is_a_frame_of_length_0() {
        assert_eq!(
            Answer::ok(Vec::new()).frame(1),
            [0, 0, 0, 0, 0, 0, 0, 1, RESPONSE, 0]
        );
    }

    proptest! {
        #[test]
        fn garbage_is_cut_and_decoded_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
            let mut deframer = Deframer::<FrameHeader>::default();
            let mut input = &bytes[..];
            while let Some(piece) = deframer.next(&mut input) {
                if let Piece::Frame(_, payload) = piece {
                    let _ = Request::decode(&payload[..]);
                }
            }
            prop_assert!(input.is_empty());
        }
    }
}
