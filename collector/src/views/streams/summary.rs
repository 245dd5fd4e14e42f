//! All streams together, without a look at each: most of them have ended, and stay for ever.

use super::list::{gap, silent};
use super::row::read;
use super::sums::Sums;
use crate::completeness::{Moment, Status, StreamReport};
use crate::db::{Cell, Connection, DbError};
use crate::ledger::append::conflicts;
use crate::ledger::chain::head;
use crate::ledger::list::Conditions;

/// All streams together. Numbers of a single stream count as 10^12 at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The worst of the streams.
    pub status: Status,
    /// Records in the ledger, including those without a stream and those deleted by retention.
    pub records: i64,
    /// Sum over the streams.
    pub explained_losses: i64,
    /// Sum over the streams.
    pub open_numbers: i64,
    /// Sum over the streams.
    pub unexplained_numbers: i64,
    /// Records that came with the uid of another record.
    pub conflicts: i64,
    /// Streams of status `gap`.
    pub gap_streams: i64,
    /// Streams of status `open`.
    pub open_streams: i64,
    /// Streams of status `complete`, the ended ones too.
    pub complete_streams: i64,
    /// Streams without an end that have been silent for more than twice their announced interval.
    pub silent_streams: i64,
    /// Those that have ended completely.
    pub ended: EndedStreams,
}

/// Streams that have ended or crashed, with every number received or explained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndedStreams {
    /// How many.
    pub streams: i64,
    /// Sum of their received numbers.
    pub received: i64,
    /// Sum of their losses.
    pub explained_losses: i64,
}

/// The summary at `moment`.
///
/// # Errors
///
/// Those of the database.
pub fn summary(connection: &mut dyn Connection, moment: Moment) -> Result<Summary, DbError> {
    let [unsettled, settled] = Sums::read(connection)?;
    let missing = missing(connection, moment)?;
    let (recent_open, recent_unexplained) = recent(connection, moment)?;

    let open_streams = missing.streams - missing.gaps;
    let status = match (missing.gaps, open_streams) {
        (0, 0) => Status::Complete,
        (0, _) => Status::Open,
        _ => Status::Gap,
    };

    Ok(Summary {
        status,
        records: head(connection)?.position,
        explained_losses: unsettled.explained + settled.explained,
        open_numbers: recent_open,
        unexplained_numbers: missing.old_numbers.saturating_add(recent_unexplained),
        conflicts: conflicts(connection)?,
        gap_streams: missing.gaps,
        open_streams,
        complete_streams: unsettled.streams + settled.streams - missing.streams,
        silent_streams: silent_streams(connection, moment)?,
        ended: EndedStreams {
            streams: settled.streams,
            received: settled.received,
            explained_losses: settled.explained,
        },
    })
}

/// Streams with missing numbers.
#[derive(Default)]
struct Missing {
    streams: i64,
    gaps: i64,
    /// Numbers of those that have no recent ones.
    old_numbers: i64,
}

/// Read from an index alone.
fn missing(connection: &mut dyn Connection, moment: Moment) -> Result<Missing, DbError> {
    let mut query = Conditions {
        text: "SELECT COUNT(*), COALESCE(SUM(CASE WHEN ".to_owned(),
        ..Conditions::default()
    };
    gap(moment, &mut query);
    query.push(
        " THEN 1 ELSE 0 END), 0), CAST(COALESCE(SUM(CASE WHEN missing_until_unix_nano <= ",
        Cell::Integer(moment.long_ago()),
    );
    query
        .text
        .push_str(" THEN missing ELSE 0 END), 0) AS BIGINT) FROM streams WHERE missing > 0");

    let mut found = Missing::default();
    connection.query(&query.text, &query.cells, &mut |row| {
        let number = |column| Ok::<_, DbError>(row.integer(column)?.unwrap_or_default());
        found = Missing {
            streams: number(0)?,
            gaps: number(1)?,
            old_numbers: number(2)?,
        };
        Ok(())
    })?;
    Ok(found)
}

/// Open and unexplained numbers of streams with one that has not been missing for long: there are
/// few, and each of their gaps counts by itself.
fn recent(connection: &mut dyn Connection, moment: Moment) -> Result<(i64, i64), DbError> {
    const RECENT: &str = "SELECT stream_id, state FROM streams \
        WHERE missing > 0 AND missing_until_unix_nano > $1";

    let (mut open, mut unexplained) = (0_i64, 0_i64);
    let since = [Cell::Integer(moment.long_ago())];
    connection.query(RECENT, &since, &mut |row| {
        let (id, stream) = read(row)?;
        let report = StreamReport::new(&id, &stream, moment);
        open = open.saturating_add(report.open_numbers);
        unexplained = unexplained.saturating_add(report.unexplained_numbers);
        Ok(())
    })?;
    Ok((open, unexplained))
}

fn silent_streams(connection: &mut dyn Connection, moment: Moment) -> Result<i64, DbError> {
    let mut query = Conditions {
        text: "SELECT COUNT(*) FROM streams WHERE silent_after_unix_nano IS NOT NULL AND "
            .to_owned(),
        ..Conditions::default()
    };
    silent(moment, &mut query);

    let mut count = 0;
    connection.query(&query.text, &query.cells, &mut |row| {
        count = row.integer(0)?.unwrap_or_default();
        Ok(())
    })?;
    Ok(count)
}
