//! Sessions as rows.

use std::collections::BTreeMap;

use super::EndedBy;
use super::fold::{Fold, Last, Latest, Name};
use crate::db::{Cell, Column, Connection, DbError, Row, Table, select_in};
use crate::views::exchange::Exchange;
use crate::views::rows::save;

const SESSIONS: Table = Table {
    name: "sessions",
    columns: &[
        Column::text("session_key"),
        Column::text("session_id"),
        Column::text("token_ref"),
        Column::integer("token_at_unix_nano"),
        Column::text("user_id"),
        Column::integer("user_at_unix_nano"),
        Column::text("user_name"),
        Column::text("user_name_of"),
        Column::integer("user_name_at_unix_nano"),
        Column::integer("start_unix_nano"),
        Column::integer("last_seen_unix_nano"),
        Column::integer("end_unix_nano"),
        Column::text("ended_by"),
        Column::integer("events"),
        Column::text("last_action"),
        Column::text("last_outcome"),
    ],
};

/// Folds more records of the ledger into their sessions.
pub(in crate::views) fn fold(
    connection: &mut dyn Connection,
    exchanges: &[Exchange<'_>],
    logout_actions: &[String],
) -> Result<(), DbError> {
    let keyed: Vec<_> = exchanges
        .iter()
        .filter_map(|exchange| Some((exchange.kept.entry.session_key()?, exchange)))
        .collect();

    let mut keys: Vec<_> = keyed.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut sessions = known(connection, &keys)?;

    for (key, exchange) in keyed {
        sessions
            .entry(key.to_owned())
            .or_default()
            .add(exchange, logout_actions);
    }

    let cells: Vec<_> = sessions
        .iter()
        .flat_map(|(key, session)| cells(key, session))
        .collect();
    save(connection, &SESSIONS, 1, &cells)
}

fn known(
    connection: &mut dyn Connection,
    keys: &[&str],
) -> Result<BTreeMap<String, Fold>, DbError> {
    let mut sessions = BTreeMap::new();
    select_in(
        connection,
        (&format!("{} WHERE session_key IN", select()), &[]),
        keys,
        &mut |row| {
            let (key, session) = read(row)?;
            sessions.insert(key, session);
            Ok(())
        },
    )?;

    Ok(sessions)
}

/// The beginning of a query for rows as [`read`] expects them.
pub(super) fn select() -> String {
    let names: Vec<_> = SESSIONS.columns.iter().map(|column| column.name).collect();
    format!("SELECT {} FROM sessions", names.join(", "))
}

/// The key of a session and its state.
pub(super) fn read(row: &dyn Row) -> Result<(String, Fold), DbError> {
    let text = |column: usize| Ok::<_, DbError>(row.text(column)?.map(ToOwned::to_owned));
    let last = Last {
        action: text(14)?,
        outcome: text(15)?,
    };
    let name = text(6)?
        .map(|name| Ok::<_, DbError>(Name { name, of: text(7)? }))
        .transpose()?;

    let session = Fold {
        session_id: text(1)?,
        token: latest(row.integer(3)?, text(2)?),
        user: latest(row.integer(5)?, text(4)?),
        name: latest(row.integer(8)?, name),
        start: row.integer(9)?,
        last: latest(row.integer(10)?, Some(last)),
        end: latest(row.integer(11)?, text(12)?.as_deref().map(EndedBy::named)),
        events: row.integer(13)?.unwrap_or_default(),
    };

    Ok((text(0)?.unwrap_or_default(), session))
}

fn latest<T>(at: Option<i64>, value: Option<T>) -> Latest<T> {
    Latest(at.zip(value))
}

fn cells<'s>(key: &'s str, session: &'s Fold) -> [Cell<'s>; SESSIONS.columns.len()] {
    let (name, last) = (session.name.value(), session.last.value());

    [
        Cell::Text(key),
        session.session_id.as_deref().into(),
        session.token.value().map(String::as_str).into(),
        session.token.at().into(),
        session.user.value().map(String::as_str).into(),
        session.user.at().into(),
        name.map(|name| name.name.as_str()).into(),
        name.and_then(|name| name.of.as_deref()).into(),
        session.name.at().into(),
        session.start.into(),
        session.last.at().into(),
        session.end.at().into(),
        session.end.value().map(|by| by.name()).into(),
        Cell::Integer(session.events),
        last.and_then(|last| last.action.as_deref()).into(),
        last.and_then(|last| last.outcome.as_deref()).into(),
    ]
}
