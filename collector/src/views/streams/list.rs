//! The filter for streams, and the query that finds them.

use super::row::read;
use crate::completeness::{Moment, StreamReport};
use crate::db::{Cell, Connection, DbError};
use crate::ledger::list::Conditions;
use crate::views::cursor::SeenCursor;

/// Which streams are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamStatus {
    /// Numbers are missing without an explanation.
    Gap,
    /// Numbers are missing, but all may still be on their way.
    Open,
    /// Every number is received or explained.
    Complete,
    /// Without an end, and without a record for too long.
    Silent,
    /// Ended or crashed, with every number received or explained.
    Ended,
}

/// Conditions that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamQuery {
    /// `None`: all but those that have ended completely.
    pub status: Option<StreamStatus>,
    /// The last stream of the page before.
    pub before: Option<SeenCursor>,
}

/// The matching streams as they stand at `moment`, last seen first, at most `limit`.
///
/// # Errors
///
/// Those of the database.
pub fn list(
    connection: &mut dyn Connection,
    wanted: &StreamQuery,
    moment: Moment,
    limit: i64,
) -> Result<Vec<StreamReport>, DbError> {
    let mut query = Conditions {
        text: "SELECT stream_id, state FROM streams WHERE ".to_owned(),
        ..Conditions::default()
    };
    restrict(wanted.status, moment, &mut query);
    if let Some(SeenCursor { last_seen, key }) = &wanted.before {
        query.push(
            " AND (last_seen_unix_nano, stream_id) < (",
            Cell::Integer(*last_seen),
        );
        query.push(", ", Cell::Text(key));
        query.text.push(')');
    }
    query.push(
        " ORDER BY last_seen_unix_nano DESC, stream_id DESC LIMIT ",
        Cell::Integer(limit),
    );

    let mut list = Vec::new();
    connection.query(&query.text, &query.cells, &mut |row| {
        let (id, stream) = read(row)?;
        list.push(StreamReport::new(&id, &stream, moment));
        Ok(())
    })?;
    Ok(list)
}

/// The conditions repeat what [`StreamReport`] decides on the whole state; each begins with that of
/// a partial index.
fn restrict(status: Option<StreamStatus>, moment: Moment, query: &mut Conditions<'_>) {
    match status {
        None => query.text.push_str("is_settled = 0"),
        Some(StreamStatus::Ended) => query.text.push_str("is_settled = 1"),
        Some(StreamStatus::Complete) => query.text.push_str("missing = 0"),
        Some(StreamStatus::Gap) => {
            query.text.push_str("missing > 0 AND ");
            gap(moment, query);
        }
        Some(StreamStatus::Open) => {
            query.text.push_str("missing > 0 AND NOT ");
            gap(moment, query);
        }
        Some(StreamStatus::Silent) => {
            query.text.push_str("is_settled = 0 AND ");
            silent(moment, query);
        }
    }
}

/// One of the missing numbers is known for as long as the grace period. A time in the future is one
/// of a clock that was ahead.
pub(super) fn gap(moment: Moment, query: &mut Conditions<'_>) {
    query.push(
        "(missing_since_unix_nano <= ",
        Cell::Integer(moment.long_ago()),
    );
    query.push(
        " OR missing_until_unix_nano >= ",
        Cell::Integer(moment.now.saturating_add(moment.grace)),
    );
    query.text.push(')');
}

/// The last record is further from now than the stream may be without one.
pub(super) fn silent(moment: Moment, query: &mut Conditions<'_>) {
    query.push("(silent_after_unix_nano < ", Cell::Integer(moment.now));
    query.push(
        " OR last_seen_unix_nano - (silent_after_unix_nano - last_seen_unix_nano) > ",
        Cell::Integer(moment.now),
    );
    query.text.push(')');
}
