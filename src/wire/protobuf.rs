//! The subset of the protobuf encoding needed for log records (protobuf.dev, "Encoding").
//!
//! All field numbers are below 16, so a key is one byte.

use crate::copy::copy;
use crate::writer::Writer;

/// Wire type of a variable-length integer.
pub(super) const VARINT: u8 = 0;
/// Wire type of eight bytes, little-endian.
pub(super) const FIXED64: u8 = 1;
/// Wire type of bytes, text and messages, prefixed with their length.
pub(super) const LENGTH_DELIMITED: u8 = 2;

/// Longest varint: 64 bits, seven per byte.
const MAX_VARINT: usize = 10;

/// The key of a field: its number and its wire type.
pub(super) const fn key(number: u8, wire_type: u8) -> u8 {
    assert!(number < 16, "the key is one byte");
    number << 3 | wire_type
}

/// Encoded length of a varint.
const fn varint_length(value: u64) -> usize {
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Encoded length of a length-delimited field, including key and length.
pub(super) const fn field_length(length: usize) -> usize {
    1 + varint_length(length as u64) + length
}

/// A numeric field, or the head of a length-delimited one: the key, and the bytes directly after
/// it. Then anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    bytes: [u8; PADDED],
    length: usize,
}

/// The longest field, rounded up to words.
const PADDED: usize = (1 + MAX_VARINT).next_multiple_of(8);

impl Field {
    /// A variable-length integer; a boolean is 0 or 1.
    pub(super) fn varint(key: u8, value: u64) -> Self {
        let mut bytes = [0; PADDED];
        let (mut rest, mut length) = (value, 0);
        let [first, others @ ..] = &mut bytes;
        *first = key;

        for byte in others {
            length += 1;
            *byte = rest as u8 & 0x7f;
            rest >>= 7;
            if rest == 0 {
                break;
            }
            *byte |= 0x80;
        }

        Self {
            bytes,
            length: 1 + length,
        }
    }

    /// Eight bytes.
    pub(super) fn fixed64(key: u8, value: u64) -> Self {
        let mut bytes = [key; PADDED];
        if let Some(room) = bytes.get_mut(1..).and_then(<[u8]>::first_chunk_mut) {
            *room = value.to_le_bytes();
        }
        Self {
            bytes,
            length: 1 + size_of::<u64>(),
        }
    }

    /// Key and length of a field whose bytes follow.
    pub(super) fn head(key: u8, length: usize) -> Self {
        Self::varint(key, length as u64)
    }

    /// The encoded bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Number of encoded bytes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The encoded bytes and what follows them: to copy all needs no loop.
    pub(super) fn padded(&self) -> [u8; PADDED] {
        self.bytes
    }
}

/// Writes the key and the length of a field whose bytes follow.
pub(super) fn push_head(out: &mut Writer, key: u8, length: usize) {
    push(out, &Field::head(key, length));
}

/// Writes a number, or a head.
pub(super) fn push(out: &mut Writer, field: &Field) {
    out.fill(PADDED, |room| {
        if let Some(room) = room.first_chunk_mut() {
            *room = field.bytes;
        }
        field.length
    });
}

/// Writes a length-delimited field.
#[inline(never)]
pub(super) fn push_field(out: &mut Writer, key: u8, bytes: &[u8]) {
    push_head(out, key, bytes.len());
    out.push_bytes(bytes);
}

/// Writes a word as a length-delimited field.
pub(super) fn push_word(out: &mut Writer, key: u8, word: &'static str) {
    out.fill(2 + word.len(), |room| {
        if let Some((head, room)) = room.split_first_chunk_mut() {
            *head = [key, word.len() as u8];
            copy(room, word.as_bytes());
        }
        2 + word.len()
    });
}

/// Largest length that is one byte in protobuf.
pub(super) const MAX_SHORT: usize = 0x7f;

/// `KeyValue.key`
pub(super) const KEY: u8 = key(1, LENGTH_DELIMITED);
/// `KeyValue.value`
pub(super) const VALUE: u8 = key(2, LENGTH_DELIMITED);
/// `AnyValue.string_value`
pub(super) const STRING_VALUE: u8 = key(1, LENGTH_DELIMITED);
/// `AnyValue.bool_value`
const BOOL_VALUE: u8 = key(2, VARINT);
/// `AnyValue.int_value`
const INT_VALUE: u8 = key(3, VARINT);
/// `AnyValue.double_value`
const DOUBLE_VALUE: u8 = key(4, FIXED64);

/// Writes a `KeyValue` with a UTF-8 string as the field `list` of its parent. Its name comes in two
/// parts.
pub(super) fn push_text(out: &mut Writer, list: u8, name: [&str; 2], text: &[u8]) {
    push_name(out, list, name, field_length(text.len()));
    push_field(out, STRING_VALUE, text);
}

/// Like [`push_text`] with a number or boolean, given as an encoded `AnyValue`.
pub(super) fn push_number(out: &mut Writer, list: u8, name: [&str; 2], value: &Field) {
    push_name(out, list, name, value.as_bytes().len());
    push(out, value);
}

/// `any_length` is the length of the `AnyValue` that follows.
fn push_name(out: &mut Writer, list: u8, [prefix, name]: [&str; 2], any_length: usize) {
    let key_length = prefix.len() + name.len();
    push_head(
        out,
        list,
        field_length(key_length) + field_length(any_length),
    );
    push_head(out, KEY, key_length);

    out.push_str(prefix);
    out.push_str(name);
    push_head(out, VALUE, any_length);
}

/// An encoded `AnyValue` of an integer.
pub(super) fn int_value(number: u64) -> Field {
    Field::varint(INT_VALUE, number)
}

/// An encoded `AnyValue` of a boolean.
pub(super) fn bool_value(flag: bool) -> Field {
    Field::varint(BOOL_VALUE, flag.into())
}

/// An encoded `AnyValue` of a double.
pub(super) fn double_value(number: f64) -> Field {
    Field::fixed64(DOUBLE_VALUE, number.to_bits())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_read_back(number: u64, bits in 0..64_u32) {
            let number = number >> bits;
            let field = Field::varint(key(1, VARINT), number);
            prop_assert_eq!(field.as_bytes().len(), 1 + varint_length(number));
            prop_assert_eq!(u64::decode(field.as_bytes()).unwrap(), number);
            let field = double_value(f64::from_bits(number));
            prop_assert_eq!(field.as_bytes(), [&[DOUBLE_VALUE], number.to_le_bytes().as_slice()].concat());
        }

        #[test]
        fn fields_have_the_length_that_is_foretold(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut out = Writer::default();
            push_field(&mut out, key(1, LENGTH_DELIMITED), &bytes);
            prop_assert_eq!(out.len(), field_length(bytes.len()));
            prop_assert_eq!(Vec::<u8>::decode(out.as_bytes()).unwrap(), bytes);
        }
    }

    #[test]
    fn each_length_of_a_varint_is_right_at_its_bounds() {
        assert_eq!(varint_length(0), 1);
        for bytes in 1..MAX_VARINT {
            let first_longer = 1_u64 << (7 * bytes);
            assert_eq!(
                (varint_length(first_longer - 1), varint_length(first_longer)),
                (bytes, bytes + 1)
            );
        }
        assert_eq!(varint_length(u64::MAX), MAX_VARINT);
    }
}
