//! The times that are kept of each segment: a search by time relies on them.

use std::collections::HashMap;

use crate::db::{Connection, DbError};
use crate::ledger::store::segment_of;

/// The earliest and the latest time of the rows of each segment.
pub(super) struct Times(HashMap<i64, (i64, i64)>);

impl Times {
    pub(super) fn load(connection: &mut dyn Connection) -> Result<Self, DbError> {
        const SELECT: &str = "SELECT segment, first_at_unix_nano, last_at_unix_nano FROM segments";

        let mut times = HashMap::new();
        connection.query(SELECT, &[], &mut |row| {
            // A column of another type includes no row.
            let number = |column| row.integer(column).ok().flatten().unwrap_or_default();
            times.insert(number(0), (number(1), number(2)));
            Ok(())
        })?;
        Ok(Self(times))
    }

    /// Whether the time of a row is among those of its segment.
    pub(super) fn include(&self, position: i64, at: i64) -> bool {
        self.0
            .get(&segment_of(position))
            .is_some_and(|(first, last)| (*first..=*last).contains(&at))
    }
}
