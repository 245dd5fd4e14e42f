//! The two orders of time.

use super::Cursor;
use super::conditions::Conditions;
use super::filter::Filter;
use crate::db::Cell;

/// In which order of time a page goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    NewestFirst,
    OldestFirst,
}

impl Order {
    /// Sorts in this order.
    pub(super) fn sort<T>(self, rows: &mut [T], cursor: impl Fn(&T) -> Cursor) {
        rows.sort_unstable_by_key(|row| {
            let Cursor { at, position } = cursor(row);
            (at, position)
        });
        if self == Self::NewestFirst {
            rows.reverse();
        }
    }

    /// Whether a time is before another one in this order, and not the same.
    pub(super) fn is_before(self, at: i64, other: i64) -> bool {
        match self {
            Self::NewestFirst => at > other,
            Self::OldestFirst => at < other,
        }
    }

    /// The end of a query over rows.
    pub(super) fn by_rows(self) -> &'static str {
        match self {
            Self::NewestFirst => " ORDER BY at_unix_nano DESC, position DESC",
            Self::OldestFirst => " ORDER BY at_unix_nano, position",
        }
    }

    /// The column in which a segment is first in this order, and the end of a query over segments.
    pub(super) fn by_segments(self) -> (&'static str, &'static str) {
        match self {
            Self::NewestFirst => ("last_at_unix_nano", " ORDER BY last_at_unix_nano DESC"),
            Self::OldestFirst => ("first_at_unix_nano", " ORDER BY first_at_unix_nano"),
        }
    }

    /// Adds the condition that a row is beyond `cursor`.
    pub(super) fn push_beyond(self, cursor: Cursor, query: &mut Conditions<'_>) {
        push_compared("at_unix_nano", self.beyond(), cursor, query);
    }

    /// The same without the index of time.
    pub(super) fn push_hidden_beyond(self, cursor: Cursor, query: &mut Conditions<'_>) {
        push_compared("at_unix_nano + 0", self.beyond(), cursor, query);
    }

    /// Adds the condition that a row is not beyond `cursor`.
    pub(super) fn push_up_to(self, cursor: Cursor, query: &mut Conditions<'_>) {
        let up_to = match self {
            Self::NewestFirst => ">=",
            Self::OldestFirst => "<=",
        };
        push_compared("at_unix_nano", up_to, cursor, query);
    }

    fn beyond(self) -> &'static str {
        match self {
            Self::NewestFirst => "<",
            Self::OldestFirst => ">",
        }
    }
}

fn push_compared(time: &str, comparison: &str, cursor: Cursor, query: &mut Conditions<'_>) {
    let condition = format!(" AND ({time}, position) {comparison} (");
    query.push(&condition, Cell::Integer(cursor.at));
    query.push(", ", Cell::Integer(cursor.position));
    query.text.push(')');
}

/// Adds the times of a filter. `hidden`: without their index.
pub(super) fn push_times(filter: &Filter, hidden: bool, query: &mut Conditions<'_>) {
    let hidden = if hidden { " + 0" } else { "" };
    for (comparison, time) in [(">=", filter.from), ("<", filter.to)] {
        if let Some(time) = time {
            let condition = format!(" AND at_unix_nano{hidden} {comparison} ");
            query.push(&condition, Cell::Integer(time));
        }
    }
}
