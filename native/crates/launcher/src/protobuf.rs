//! The few protobuf fields that pass through a launcher, read and written by hand: its messages are small, and a generated
//! decoder for another project's files would be most of this program.

/// One field of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// A fixed 32-bit or 64-bit field; no message read here has one, so the value is dropped.
    Fixed,
}

/// Reads a message's fields in order; after the first fault it gives `None` once and ends.
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// Starts reading.
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u32, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let tag = u32::try_from(self.varint()?).ok()?;
        let number = tag >> 3;
        if number == 0 {
            return None;
        }
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some((number, value))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }
}

/// Writes a message field by field; what has proto3's default value is left out.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub fn number(mut self, field: u32, value: u64) -> Self {
        if value != 0 {
            self.varint(u64::from(field) << 3);
            self.varint(value);
        }
        self
    }

    pub fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        if !value.is_empty() {
            self.varint(u64::from(field) << 3 | 2);
            self.varint(value.len() as u64);
            self.bytes.extend_from_slice(value);
        }
        self
    }

    pub fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub fn done(self) -> Vec<u8> {
        self.bytes
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_field_cut_short_is_a_fault_and_ends_the_message() {
        let message = Writer::default().text(1, "abc").done();
        let read: Vec<_> = fields(&message[..3]).collect();
        assert_eq!(read, [None]);
    }

    #[test]
    fn numbers_beyond_64_bits_are_a_fault() {
        let message = [8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(fields(&message).next(), Some(None));
        let message = [8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(
            fields(&message).next(),
            Some(Some((1, Value::Number(u64::MAX))))
        );
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(fields(&bytes).count() <= bytes.len());
        }

        #[test]
        fn what_was_written_is_read(number in 1u64.., text in ".{1,40}") {
            let message = Writer::default().number(2, number).text(536_870_911, &text).done();
            let read: Vec<_> = fields(&message).collect();
            prop_assert_eq!(read, vec![Some((2, Value::Number(number))), Some((536_870_911, Value::Bytes(text.as_bytes())))]);
        }
    }
}
