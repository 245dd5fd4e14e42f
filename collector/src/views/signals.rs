//! Signals of a session: fields of its context, kept when they change.

use std::collections::HashMap;

use super::context;
use super::exchange::Exchange;
use super::rows::save;
use crate::db::{Cell, Column, Connection, DbError, Table, select_in};

const SIGNALS: Table = Table {
    name: "signals",
    columns: &[
        Column::text("session_key"),
        Column::integer("position"),
        Column::text("name"),
        Column::text("value"),
        Column::integer("since_unix_nano"),
        Column::text("uid"),
    ],
};

/// How many columns of [`SIGNALS`] form the key.
const KEY: usize = 3;

/// Most changes that are read for a session: the latest ones.
const MAX_READ: i64 = 1000;

/// A change of a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// The field of the context.
    pub name: String,
    /// Its value from then on.
    pub value: String,
    /// The time of the record that carried it, in nanoseconds since the Unix epoch.
    pub since: i64,
    /// The uid of that record.
    pub uid: String,
    /// The position of that record.
    pub position: i64,
}

/// The context of a session in one record.
struct Seen<'k> {
    key: &'k str,
    exchange: &'k Exchange<'k>,
    values: Vec<(&'k str, String)>,
}

/// Stores the fields `names` of the contexts where they differ from the last stored value.
pub(super) fn fold(
    connection: &mut dyn Connection,
    exchanges: &[Exchange<'_>],
    names: &[String],
) -> Result<(), DbError> {
    let seen: Vec<_> = exchanges
        .iter()
        .filter_map(|exchange| read(exchange, names))
        .collect();

    let mut keys: Vec<_> = seen.iter().map(|seen| seen.key).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut latest = latest(connection, &keys)?;

    let mut cells = Vec::new();
    for Seen {
        key,
        exchange,
        values,
    } in &seen
    {
        let known = latest.entry((*key).to_owned()).or_default();
        for (name, value) in values {
            if known.get(*name) != Some(value) {
                known.insert((*name).to_owned(), value.clone());
                cells.extend(row(key, name, value, exchange));
            }
        }
    }

    save(connection, &SIGNALS, KEY, &cells)
}

fn row<'s>(
    key: &'s str,
    name: &'s str,
    value: &'s str,
    exchange: &'s Exchange<'s>,
) -> [Cell<'s>; SIGNALS.columns.len()] {
    let (position, entry) = (exchange.kept.position, &exchange.kept.entry);

    [
        Cell::Text(key),
        Cell::Integer(position),
        Cell::Text(name),
        Cell::Text(value),
        Cell::Integer(entry.at),
        Cell::Text(&entry.uid),
    ]
}

fn read<'k>(exchange: &'k Exchange<'k>, names: &'k [String]) -> Option<Seen<'k>> {
    let key = exchange.kept.entry.session_key()?;
    let fields = context::read(exchange.context()?)?;
    let values = names
        .iter()
        .filter_map(|name| Some((name.as_str(), context::field(&fields, name)?)));

    Some(Seen {
        key,
        exchange,
        values: values.collect(),
    })
}

/// The last stored values, by session and name.
fn latest(
    connection: &mut dyn Connection,
    keys: &[&str],
) -> Result<HashMap<String, HashMap<String, String>>, DbError> {
    const SELECT: &str = "SELECT session_key, name, value FROM signals WHERE position = (SELECT other.position \
        FROM signals AS other WHERE other.session_key = signals.session_key AND other.name = signals.name \
        ORDER BY other.position DESC LIMIT 1) AND session_key IN";

    let mut latest: HashMap<String, HashMap<String, String>> = HashMap::new();
    select_in(connection, (SELECT, &[]), keys, &mut |row| {
        let text =
            |column: usize| Ok::<_, DbError>(row.text(column)?.unwrap_or_default().to_owned());
        latest
            .entry(text(0)?)
            .or_default()
            .insert(text(1)?, text(2)?);
        Ok(())
    })?;

    Ok(latest)
}

/// The latest changes of a session, oldest first.
///
/// # Errors
///
/// Those of the database.
pub fn list(connection: &mut dyn Connection, session_key: &str) -> Result<Vec<Signal>, DbError> {
    const LIST: &str = "SELECT name, value, since_unix_nano, uid, position FROM signals WHERE session_key = $1 \
        ORDER BY position DESC, name DESC LIMIT $2";

    let mut list = Vec::new();
    connection.query(
        LIST,
        &[Cell::Text(session_key), Cell::Integer(MAX_READ)],
        &mut |row| {
            list.push(Signal {
                name: row.text(0)?.unwrap_or_default().to_owned(),
                value: row.text(1)?.unwrap_or_default().to_owned(),
                since: row.integer(2)?.unwrap_or_default(),
                uid: row.text(3)?.unwrap_or_default().to_owned(),
                position: row.integer(4)?.unwrap_or_default(),
            });
            Ok(())
        },
    )?;

    list.reverse();
    Ok(list)
}

pub(super) fn expire(connection: &mut dyn Connection, before: i64) -> Result<(), DbError> {
    const DELETE: &str = "DELETE FROM signals WHERE session_key IN \
        (SELECT session_key FROM sessions WHERE last_seen_unix_nano < $1)";
    connection.execute(DELETE, &[Cell::Integer(before)])?;
    Ok(())
}
