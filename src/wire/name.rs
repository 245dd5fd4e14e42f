//! Names of attributes.

use super::protobuf::{KEY, LENGTH_DELIMITED, VALUE, key};

/// `LogRecord.attributes`
pub(super) const RECORD_ATTRIBUTES: u8 = key(6, LENGTH_DELIMITED);

/// Bytes of a [`Name`] around its text in protobuf: four before it, one after.
pub(super) const AROUND: usize = 5;

/// The name of an attribute. Also the complete protobuf prefix of the value of such a record
/// attribute; the total length in it stays 0. Names need no escaping.
#[derive(Clone, Copy)]
pub(super) struct Name<const N: usize> {
    pub(super) plain: &'static str,
    pub(super) piece: [u8; N],
}

impl<const N: usize> Name<N> {
    /// Made by [`name`], which computes the length of the prefix.
    pub(super) const fn new(plain: &'static str) -> Self {
        assert!(
            plain.len() + AROUND == N && N < 0x60,
            "numbers behind it must leave the length one byte"
        );

        let mut piece = [VALUE; N];
        let Some((_, room)) = piece.split_last_mut() else {
            unreachable!()
        };
        let Some((head, text)) = room.split_first_chunk_mut() else {
            unreachable!()
        };

        *head = [RECORD_ATTRIBUTES, 0, KEY, plain.len() as u8];
        text.copy_from_slice(plain.as_bytes());
        Self { plain, piece }
    }
}

/// The [`Name`] of these words.
macro_rules! name {
    ($name:literal) => {{
        const NAME: $crate::wire::name::Name<{ $name.len() + $crate::wire::name::AROUND }> =
            $crate::wire::name::Name::new($name);
        NAME
    }};
}
pub(super) use name;
