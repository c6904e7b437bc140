//! Cuts a stream of bytes into frames, for any header that says how long its frame is. Total: no input makes it fail or
//! take more memory than the header's limit allows; a longer frame is reported and skipped without being kept.

/// A frame's header.
pub trait Header: Copy {
    /// Bytes of the header; at most 16.
    const SIZE: usize;
    /// Longest payload that is kept.
    const LIMIT: usize;

    /// Reads `SIZE` bytes: the header and the length of the payload behind it.
    fn parse(bytes: &[u8]) -> (Self, usize);
}

/// What the stream holds next.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<H> {
    Frame(H, Vec<u8>),
    /// A frame over the limit, of this length; its payload will be skipped.
    TooLong(H, usize),
}

/// State between two reads: a header in the making, or a payload of which so many bytes are missing.
pub struct Deframer<H> {
    header: [u8; 16],
    have: usize,
    payload: Option<(H, Vec<u8>, usize)>,
    skip: usize,
}

/// Memory is reserved as bytes arrive, in steps of this size at least, never on a header's word alone.
const STEP: usize = 64 << 10;

impl<H: Header> Default for Deframer<H> {
    fn default() -> Self {
        Deframer {
            header: [0; 16],
            have: 0,
            payload: None,
            skip: 0,
        }
    }
}

impl<H: Header> Deframer<H> {
    /// Takes from the front of `input` up to the end of the next piece. Nothing: the input is used up.
    pub fn next(&mut self, input: &mut &[u8]) -> Option<Piece<H>> {
        loop {
            if self.skip > 0 {
                self.skip -= take(input, self.skip).len();
                if self.skip > 0 {
                    return None;
                }
            }
            if let Some((header, payload, missing)) = &mut self.payload {
                let part = take(input, *missing);
                if payload.capacity() - payload.len() < part.len() {
                    payload.reserve_exact(part.len().max(STEP.min(*missing)));
                }
                payload.extend_from_slice(part);
                *missing -= part.len();
                if *missing > 0 {
                    return None;
                }
                let piece = Piece::Frame(*header, std::mem::take(payload));
                self.payload = None;
                return Some(piece);
            }
            let part = take(input, H::SIZE - self.have);
            self.header[self.have..self.have + part.len()].copy_from_slice(part);
            self.have += part.len();
            if self.have < H::SIZE {
                return None;
            }
            self.have = 0;
            let (header, length) = H::parse(&self.header[..H::SIZE]);
            if length > H::LIMIT {
                self.skip = length;
                return Some(Piece::TooLong(header, length));
            }
            self.payload = Some((header, Vec::new(), length));
        }
    }

    /// Whether the stream stopped inside a frame.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.have > 0 || self.payload.is_some() || self.skip > 0
    }
}

fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (front, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    front
}

/// Header of Brig's own frames: u32 big-endian length (keeper.proto).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain;

impl Header for Plain {
    const SIZE: usize = 4;
    const LIMIT: usize = wire::MAX_FRAME;

    fn parse(bytes: &[u8]) -> (Plain, usize) {
        (Plain, big_endian(bytes) as usize)
    }
}

/// A message as one of Brig's own frames.
pub fn plain_frame(message: &impl wire::Message) -> Vec<u8> {
    let length = message.encoded_len();
    let mut frame = Vec::with_capacity(4 + length);
    frame.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(&message.encode_to_vec());
    frame
}

/// The first four bytes as a big-endian number.
pub fn big_endian(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .take(4)
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Tiny(u8);

    impl Header for Tiny {
        const SIZE: usize = 2;
        const LIMIT: usize = 100;

        fn parse(bytes: &[u8]) -> (Tiny, usize) {
            (Tiny(bytes[0]), usize::from(bytes[1]))
        }
    }

    fn cut(bytes: &[u8], sizes: &[usize]) -> (Vec<Piece<Tiny>>, bool) {
        let mut deframer = Deframer::default();
        let mut pieces = Vec::new();
        let mut rest = bytes;
        let mut sizes = sizes.iter().cycle();
        while !rest.is_empty() {
            let mut part = take(&mut rest, *sizes.next().unwrap());
            while let Some(piece) = deframer.next(&mut part) {
                pieces.push(piece);
            }
            assert!(part.is_empty());
        }
        (pieces, deframer.is_inside())
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_the_stream_is_cut(
            frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..256)), 0..20),
            sizes in prop::collection::vec(1usize..50, 1..10),
        ) {
            let mut stream = Vec::new();
            let mut expected = Vec::new();
            for (tag, payload) in frames {
                let payload = &payload[..payload.len().min(255)];
                stream.extend([tag, payload.len() as u8]);
                stream.extend(payload);
                expected.push(if payload.len() > Tiny::LIMIT {
                    Piece::TooLong(Tiny(tag), payload.len())
                } else {
                    Piece::Frame(Tiny(tag), payload.to_vec())
                });
            }
            prop_assert_eq!(cut(&stream, &sizes), (expected, false));
        }

        #[test]
        fn any_bytes_are_taken_whole_and_the_cut_does_not_matter(
            bytes in prop::collection::vec(any::<u8>(), 0..2000),
            sizes in prop::collection::vec(1usize..300, 1..10),
        ) {
            prop_assert_eq!(cut(&bytes, &sizes), cut(&bytes, &[bytes.len().max(1)]));
        }
    }

    #[test]
    fn a_header_alone_reserves_nothing() {
        let mut deframer = Deframer::<Plain>::default();
        assert_eq!(deframer.next(&mut &[0, 0xff, 0xff, 0xff, 1][..]), None);
        assert!(deframer.payload.as_ref().unwrap().1.capacity() <= STEP);
        assert!(deframer.is_inside());
    }
}
