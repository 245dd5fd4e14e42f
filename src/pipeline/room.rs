//! The room around a batch's bytes for what the journal adds to them, so that it copies nothing.

use crate::wire::Room;

/// Numbers of eight bytes at the start of a batch in the journal.
pub(super) const BATCH_NUMBERS: usize = 9;

/// Numbers of eight bytes of each record, before the batch's bytes.
pub(super) const RECORD_NUMBERS: usize = 8;

/// Bytes of the tag at the end of a value in the journal.
pub(super) const TAG_BYTES: usize = 16;

/// The room for a batch of so many records.
pub(super) fn room(records: usize) -> Room {
    Room {
        before: size_of::<u64>() * (BATCH_NUMBERS + RECORD_NUMBERS * records),
        after: TAG_BYTES,
    }
}
