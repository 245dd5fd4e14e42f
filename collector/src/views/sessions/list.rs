//! The filter for sessions, and the query that finds them.

use std::time::Duration;

use super::fold::Fold;
use super::row::{read, select};
use super::{EndedBy, Session};
use crate::db::{Cell, Connection, DbError};
use crate::ledger::entry::searched;
use crate::ledger::list::Conditions;
use crate::time::nanos;
use crate::views::cursor::SeenCursor;

/// Conditions that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionQuery {
    /// `user.id`.
    pub user: Option<String>,
    /// `session.id`.
    pub session: Option<String>,
    /// `session.token_ref`.
    pub token_ref: Option<String>,
    /// Whether it has not ended.
    pub open: Option<bool>,
    /// Last seen at this time or later, in nanoseconds since the Unix epoch.
    pub from: Option<i64>,
    /// Last seen before this time.
    pub to: Option<i64>,
    /// The last session of the page before.
    pub before: Option<SeenCursor>,
}

impl Session {
    /// Its place in the order of the list.
    pub fn cursor(&self) -> SeenCursor {
        SeenCursor {
            last_seen: self.last_seen,
            key: self.key.clone(),
        }
    }

    fn new(key: String, fold: Fold, idle_since: i64) -> Self {
        let last_seen = fold.last.at().unwrap_or_default();
        let ended = fold.end.0.filter(|(at, _)| *at >= last_seen);
        let idle = (last_seen < idle_since).then_some((last_seen, EndedBy::Idle));

        let user_id = fold.user.value().cloned();
        let name = fold.name.value().filter(|name| name.of == user_id);
        let last = fold.last.value().cloned().unwrap_or_default();

        Self {
            key,
            session_id: fold.session_id,
            token_ref: fold.token.value().cloned(),
            user_name: name.map(|name| name.name.clone()),
            user_id,
            start: fold.start.unwrap_or(last_seen),
            last_seen,
            end: ended.or(idle),
            events: fold.events,
            last_action: last.action,
            last_outcome: last.outcome,
        }
    }
}

/// The matching sessions as they stand at `now`, last seen first, at most `limit`.
///
/// # Errors
///
/// Those of the database.
pub fn list(
    connection: &mut dyn Connection,
    wanted: &SessionQuery,
    (now, idle): (i64, Duration),
    limit: i64,
) -> Result<Vec<Session>, DbError> {
    let idle_since = now.saturating_sub(nanos(idle));
    let texts = [&wanted.user, &wanted.session, &wanted.token_ref]
        .map(|text| text.as_deref().map(searched));

    let mut query = Conditions {
        text: format!("{} WHERE 1 = 1", select()),
        ..Conditions::default()
    };
    for (condition, text) in [
        " AND user_id = ",
        " AND session_key = ",
        " AND token_ref = ",
    ]
    .iter()
    .zip(&texts)
    {
        if let Some(text) = text {
            query.push(condition, Cell::Text(text));
        }
    }

    if wanted.session.is_some() {
        query.text.push_str(" AND session_id IS NOT NULL");
    }
    restrict(wanted, idle_since, &mut query);
    query.push(
        " ORDER BY last_seen_unix_nano DESC, session_key DESC LIMIT ",
        Cell::Integer(limit),
    );

    sessions(connection, &query, idle_since)
}

fn restrict<'a>(wanted: &'a SessionQuery, idle_since: i64, query: &mut Conditions<'a>) {
    if let Some(from) = wanted.from {
        query.push(" AND last_seen_unix_nano >= ", Cell::Integer(from));
    }
    if let Some(to) = wanted.to {
        query.push(" AND last_seen_unix_nano < ", Cell::Integer(to));
    }
    if let Some(SeenCursor { last_seen, key }) = &wanted.before {
        query.push(
            " AND (last_seen_unix_nano, session_key) < (",
            Cell::Integer(*last_seen),
        );
        query.push(", ", Cell::Text(key));
        query.text.push(')');
    }

    match wanted.open {
        None => {}
        Some(true) => {
            query.push(" AND last_seen_unix_nano >= ", Cell::Integer(idle_since));
            query
                .text
                .push_str(" AND COALESCE(end_unix_nano < last_seen_unix_nano, TRUE)");
        }
        Some(false) => {
            query.push(" AND (last_seen_unix_nano < ", Cell::Integer(idle_since));
            query
                .text
                .push_str(" OR end_unix_nano >= last_seen_unix_nano)");
        }
    }
}

fn sessions(
    connection: &mut dyn Connection,
    query: &Conditions<'_>,
    idle_since: i64,
) -> Result<Vec<Session>, DbError> {
    let mut list = Vec::new();
    connection.query(&query.text, &query.cells, &mut |row| {
        let (key, fold) = read(row)?;
        list.push(Session::new(key, fold, idle_since));
        Ok(())
    })?;

    Ok(list)
}

/// The session with this key as it stands at `now`.
///
/// # Errors
///
/// Those of the database.
pub fn one(
    connection: &mut dyn Connection,
    key: &str,
    (now, idle): (i64, Duration),
) -> Result<Option<Session>, DbError> {
    let key = searched(key);
    let mut query = Conditions {
        text: select(),
        ..Conditions::default()
    };
    query.push(" WHERE session_key = ", Cell::Text(&key));

    Ok(sessions(connection, &query, now.saturating_sub(nanos(idle)))?.pop())
}
