//! Names of attributes.

use super::protobuf::{KEY, LENGTH_DELIMITED, VALUE, key};

/// `LogRecord.attributes`
pub(super) const RECORD_ATTRIBUTES: u8 = key(6, LENGTH_DELIMITED);

/// Bytes of a [`Name::piece`] around its text: four before it, one after.
const AROUND: usize = 5;

/// The name of an attribute. Names need no escaping.
pub(super) struct Name {
    pub(super) plain: &'static str,
    /// The complete protobuf prefix of the value of such a record attribute, and zeros; the total
    /// length in it is 0.
    pub(super) piece: [u8; MAX_PIECE],
    /// Bytes of the prefix.
    pub(super) length: usize,
}

/// Most bytes of a prefix. All are copied, since that needs no loop.
pub(super) const MAX_PIECE: usize = 40;

impl Name {
    pub(super) const fn new(plain: &'static str) -> Self {
        let mut piece = [0; MAX_PIECE];
        let Some((head, room)) = piece.split_first_chunk_mut() else {
            unreachable!()
        };
        *head = [RECORD_ATTRIBUTES, 0, KEY, plain.len() as u8];
        let (text, rest) = room.split_at_mut(plain.len());
        text.copy_from_slice(plain.as_bytes());
        let Some(value) = rest.first_mut() else {
            unreachable!()
        };
        *value = VALUE;

        Self {
            plain,
            piece,
            length: plain.len() + AROUND,
        }
    }
}

/// The [`Name`] of these words.
macro_rules! name {
    ($name:literal) => {{
        const NAME: &$crate::wire::name::Name = &$crate::wire::name::Name::new($name);
        NAME
    }};
}
pub(super) use name;
