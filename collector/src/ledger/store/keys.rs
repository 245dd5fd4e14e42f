//! Keys of 32 bits in place of the searched texts.

use super::content::Texts;
use crate::db::Cell;
use crate::ledger::entry::Entry;

/// CRC-32 (ISO-HDLC, as in gzip) of a searched text, as a signed number. Rows with the same key can
/// have different texts, so a search by key compares the texts, too.
pub(crate) fn key(text: &str) -> i64 {
    i64::from(crc32fast::hash(text.as_bytes()).cast_signed())
}

/// Columns of keys, in the order of the table.
pub(crate) const COLUMNS: [&str; 6] = [
    "user_key",
    "name_key",
    "email_key",
    "session_key",
    "token_key",
    "stream_key",
];

/// The keys of a record.
pub(super) fn of(entry: &Entry) -> [Option<i64>; COLUMNS.len()] {
    [
        &entry.user_id,
        &entry.user_name,
        &entry.user_email,
        &entry.session_id,
        &entry.token_ref,
        &entry.stream_id,
    ]
    .map(|text| text.as_deref().map(key))
}

/// The same of searched texts.
pub(super) fn of_texts(texts: &Texts<'_>) -> [Option<i64>; COLUMNS.len()] {
    let [stream, _, _, _, _, user, name, email, session, token] = texts;
    [user, name, email, session, token, stream].map(|text| text.as_deref().map(key))
}

/// The same as cells.
pub(super) fn cells(entry: &Entry) -> [Cell<'static>; COLUMNS.len()] {
    of(entry).map(Cell::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_checksum_of_the_standard() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(key("123456789"), i64::from(0xcbf4_3926_u32.cast_signed()));
    }
}
