//! How a row of the ledger is stored: in a quarter of the bytes of its content.
//!
//! A row repeats most of what the rows around it hold. So each *segment*, the rows of
//! [`SEGMENT_ROWS`] positions, has a dictionary:
//!
//! - A *shape* is what records of one kind have in common: the name of the event, the severity, the
//!   names of the attributes, and the values of those that have few values, such as the action.
//! - A *text* is the JSON text of a value that occurred at least twice in the segment.
//!
//! A row has the id of its shape, and the values that the shape leaves open: each is a text, the uid
//! of the row, or stands there itself. The columns that are searched for are not stored. In their
//! place are keys of 32 bits, which have an index within the segment: an index of the newest segment
//! is small, so that a new row changes few pages, however large the ledger is.
//!
//! The hash of a row is over its content, so nothing of this is in the chain. `docs/ledger.md` has
//! the format for readers without this code.

pub(crate) mod content;
pub mod decoder;
mod dictionary;
pub mod encoder;
pub(crate) mod keys;
pub(crate) mod raw;
pub(crate) mod scan;
mod shape;
mod split;
pub mod table;
mod uid;
mod values;

use crate::db::{Connection, DbError};
use crate::ledger::stored::StoredEntry;
use decoder::Decoder;
pub(crate) use decoder::references as referenced_texts;
pub(crate) use split::members;

/// Positions of a segment: the first one has one less, because the first position is 1.
pub const SEGMENT_ROWS: i64 = 65_536;

/// The segment of a position.
pub(crate) fn segment_of(position: i64) -> i64 {
    position.div_euclid(SEGMENT_ROWS)
}

/// The rows with one of these uids, in any order.
///
/// # Errors
///
/// Those of the database.
pub(crate) fn rows_of_uids(
    connection: &mut dyn Connection,
    uids: &[&str],
) -> Result<Vec<StoredEntry>, DbError> {
    let uids: Vec<_> = uids.iter().map(|uid| uid::encode(uid)).collect();
    let keys: Vec<_> = uids.iter().map(Vec::as_slice).collect();
    let rows = raw::with_keys(connection, "uid", &keys)?;
    Decoder::default().decode(connection, rows)
}
