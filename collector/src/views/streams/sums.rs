//! Sums over streams, kept up to date by differences.

use crate::completeness::{Outlook, Streams};
use crate::db::{Cell, Connection, DbError};

/// Sums over streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) streams: i64,
    pub(super) received: i64,
    pub(super) explained: i64,
}

impl Sums {
    /// Over those that are not settled, and over those that are.
    pub(super) fn of(streams: &Streams) -> [Self; 2] {
        let mut sums = [Self::default(); 2];
        for stream in streams.by_id.values() {
            let Outlook {
                is_settled,
                received,
                explained,
                ..
            } = stream.outlook();
            if let Some(sums) = sums.get_mut(usize::from(is_settled)) {
                sums.streams += 1;
                sums.received += received;
                sums.explained += explained;
            }
        }
        sums
    }

    pub(super) fn without(self, before: Self) -> Self {
        Self {
            streams: self.streams - before.streams,
            received: self.received - before.received,
            explained: self.explained - before.explained,
        }
    }

    /// As they are in the database, in the same order.
    pub(super) fn read(connection: &mut dyn Connection) -> Result<[Self; 2], DbError> {
        const SUMS: &str = "SELECT is_settled, streams, received, explained FROM stream_sums";

        let mut sums = [Self::default(); 2];
        connection.query(SUMS, &[], &mut |row| {
            let number = |column| Ok::<_, DbError>(row.integer(column)?.unwrap_or_default());
            let read = Self {
                streams: number(1)?,
                received: number(2)?,
                explained: number(3)?,
            };
            if let Some(sums) = sums.get_mut(usize::from(number(0)? > 0)) {
                *sums = read;
            }
            Ok(())
        })?;
        Ok(sums)
    }

    /// Adds them to those in the database.
    pub(super) fn add(self, connection: &mut dyn Connection, settled: i64) -> Result<(), DbError> {
        const ADD: &str = "INSERT INTO stream_sums (is_settled, streams, received, explained) \
            VALUES ($1, $2, $3, $4) ON CONFLICT (is_settled) DO UPDATE SET \
            streams = stream_sums.streams + excluded.streams, \
            received = stream_sums.received + excluded.received, \
            explained = stream_sums.explained + excluded.explained";

        if self == Self::default() {
            return Ok(());
        }
        let cells = [settled, self.streams, self.received, self.explained].map(Cell::Integer);
        connection.execute(ADD, &cells)?;
        Ok(())
    }
}
