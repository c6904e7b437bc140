//! The keeper's parsers of bytes from outside, for native/fuzz: each takes anything and comes to an end.

use wire::Message;
use wire::keeper::{FromStage, PodRecord, StepResult, ToKeeper};

use crate::deframe::{Deframer, Piece};
use crate::target::Target;
use crate::ttrpc::{FrameHeader, Request, Response};

/// A parser's name and what to feed.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("keeper-ttrpc", ttrpc),
    ("keeper-messages", messages),
    ("keeper-record", record),
    ("keeper-stdio", stdio),
];

/// A client's stream: the first byte says how it is cut, which must not matter.
fn ttrpc(bytes: &[u8]) {
    let Some((&size, stream)) = bytes.split_first() else {
        return;
    };
    let whole = pieces(stream, stream.len().max(1));
    assert_eq!(pieces(stream, usize::from(size).max(1)), whole);
    for payload in whole {
        let _ = Request::decode(&payload[..]);
        let _ = Response::decode(&payload[..]);
    }
}

fn pieces(stream: &[u8], size: usize) -> Vec<Vec<u8>> {
    let mut deframer = Deframer::<FrameHeader>::default();
    let mut all = Vec::new();
    for mut part in stream.chunks(size) {
        while let Some(piece) = deframer.next(&mut part) {
            all.push(match piece {
                Piece::Frame(_, payload) => payload,
                Piece::TooLong(_, length) => {
                    assert!(length > <FrameHeader as crate::deframe::Header>::LIMIT);
                    Vec::new()
                }
            });
        }
        assert!(part.is_empty());
    }
    all
}

/// What the daemon and a stage say.
fn messages(bytes: &[u8]) {
    let _ = ToKeeper::decode(bytes);
    let _ = FromStage::decode(bytes);
    let _ = StepResult::decode(bytes);
}

/// A record of a pod, as the file has it: what is read is written and read as the same.
fn record(bytes: &[u8]) {
    if let Ok(record) = PodRecord::decode(bytes) {
        assert_eq!(PodRecord::decode(&record.encode_to_vec()[..]), Ok(record));
    }
}

/// Where a client wants its output.
fn stdio(bytes: &[u8]) {
    let _ = Target::parse("stdout", &String::from_utf8_lossy(bytes));
}
