//! The fields of a protobuf message, one after the other, without taking memory for them.
//!
//! A message type decodes all of its repeated fields at once, and two bytes can stand for a whole struct. Walking the
//! fields and decoding each by itself keeps that to one.

/// A field's value as it stands in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'b> {
    /// A number of variable length. What it means is for the caller to know.
    Varint(u64),
    /// Eight bytes.
    Fixed64([u8; 8]),
    /// Four bytes.
    Fixed32([u8; 4]),
    /// Text, bytes or a message.
    Bytes(&'b [u8]),
}

impl<'b> Value<'b> {
    /// The bytes of text, bytes or a message.
    pub(super) fn bytes(self) -> Option<&'b [u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            Value::Varint(_) | Value::Fixed64(_) | Value::Fixed32(_) => None,
        }
    }
}

/// The fields of a message: numbers and values. The first that does not read is the last, and an error.
#[derive(Debug, Clone)]
pub(super) struct Fields<'b> {
    rest: &'b [u8],
}

/// The bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The fields of the message in `bytes`.
pub(super) fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields { rest: bytes }
}

impl<'b> Iterator for Fields<'b> {
    type Item = Result<(u64, Value<'b>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

impl<'b> Fields<'b> {
    fn field(&mut self) -> Option<(u64, Value<'b>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.take(8)?.try_into().ok()?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(self.take(4)?.try_into().ok()?),
            // Groups are of another age of protobuf, and none of the tools has any.
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_walked_and_a_torn_one_ends_the_walk() {
        // 1: 300, 2: "ab", 3: fixed 64, 4: fixed 32.
        let message =
            [&[0x08, 0xac, 0x02, 0x12, 0x02, b'a', b'b', 0x19, 1, 0, 0, 0, 0, 0, 0, 0][..], &[0x25, 2, 0, 0, 0]]
                .concat();
        let all: Vec<_> = fields(&message).collect::<Result<_, _>>().unwrap();
        let fixed = Value::Fixed64(1u64.to_le_bytes());
        assert_eq!(
            all,
            [(1, Value::Varint(300)), (2, Value::Bytes(b"ab")), (3, fixed), (4, Value::Fixed32([2, 0, 0, 0]))]
        );
        let torn: Vec<_> = fields(&message[..6]).collect();
        assert_eq!(torn, [Ok((1, Value::Varint(300))), Err(Malformed)]);
        assert_eq!(fields(&[0x80; 20]).collect::<Vec<_>>(), [Err(Malformed)]);
    }
}
