//! What the tree needs of the rows of the ledger: their places and hashes.

use std::collections::BTreeMap;

use crate::db::{Cell, Connection, DbError};
use crate::ledger::chain::{self, Hash};

/// The hashes of the rows after `from`, up to `to`, by position. A hash that is not 32 bytes long is
/// left out.
pub(super) fn hashes(
    connection: &mut dyn Connection,
    from: i64,
    to: i64,
) -> Result<BTreeMap<i64, Hash>, DbError> {
    const HASHES: &str = "SELECT position, hash FROM records \
        WHERE position > $1 AND position <= $2 ORDER BY position";

    let mut hashes = BTreeMap::new();
    let cells = [Cell::Integer(from), Cell::Integer(to)];
    connection.query(HASHES, &cells, &mut |row| {
        let position = row.integer(0)?.unwrap_or_default();
        if let Ok(hash) = row.bytes(1).and_then(chain::hash) {
            hashes.insert(position, hash);
        }
        Ok(())
    })?;
    Ok(hashes)
}
