//! The background task that folds new rows of the ledger into the views.

use super::exchange::Exchange;
use super::terms::Recent;
use super::{Settings, sessions, signals, streams, terms, usage};
use crate::db::{self, Cell, Connection, DbError};
use crate::ledger::BackgroundTask;
use crate::ledger::chain::head;
use crate::ledger::list::{Filter, Page, Start, StoredEntry, list_with};
use crate::ledger::store::decoder::Decoder;

/// Rows folded in one transaction: few enough that a batch does not wait long for its turn.
pub const SLICE: i64 = 1000;

/// See the module.
#[derive(Debug)]
pub struct Follower {
    settings: Settings,
    slice: i64,
    /// Where the last step ended.
    reached: i64,
    recent: Recent,
    decoder: Decoder,
}

impl Follower {
    /// A follower that folds at most `slice` rows in one step.
    pub fn new(settings: Settings, slice: i64) -> Self {
        Self {
            settings,
            slice,
            reached: 0,
            recent: Recent::default(),
            decoder: Decoder::default(),
        }
    }

    fn advance(&mut self, connection: &mut dyn Connection) -> Result<bool, DbError> {
        let begin = position(connection)?;
        if begin < self.reached {
            // The views were emptied.
            self.recent.clear();
        }
        let Page { rows, more } = list_with(
            connection,
            &mut self.decoder,
            &Filter::default(),
            Start::After(begin),
            self.slice,
        )?;

        let end = match rows.last() {
            Some(last) if more => last.position,
            // Rows at the end may have been deleted.
            _ => head(connection)?.position,
        };

        self.fold(connection, &rows)?;
        set_position(connection, end)?;
        self.reached = end;
        Ok(more)
    }

    fn fold(
        &mut self,
        connection: &mut dyn Connection,
        rows: &[StoredEntry],
    ) -> Result<(), DbError> {
        let exchanges: Vec<_> = rows.iter().filter_map(Exchange::read).collect();
        streams::fold(connection, rows)?;
        terms::fold(connection, rows, &mut self.recent)?;
        sessions::fold(connection, &exchanges, &self.settings.logout_actions)?;
        signals::fold(connection, &exchanges, &self.settings.signals)?;
        usage::fold(connection, &exchanges)
    }
}

impl BackgroundTask for Follower {
    fn name(&self) -> &'static str {
        "views"
    }

    /// Without new rows no transaction begins: an idle collector writes nothing.
    fn step(&mut self, connection: &mut dyn Connection) -> Result<bool, DbError> {
        if head(connection)?.position <= position(connection)? {
            return Ok(false);
        }
        let done = db::write(connection, |connection| self.advance(connection));
        if done.is_err() {
            self.recent.clear();
        }
        done
    }
}

/// Position of the ledger up to which the views are made.
///
/// # Errors
///
/// Those of the database.
pub fn position(connection: &mut dyn Connection) -> Result<i64, DbError> {
    let mut position = 0;
    connection.query("SELECT position FROM views", &[], &mut |row| {
        position = row.integer(0)?.unwrap_or_default();
        Ok(())
    })?;
    Ok(position)
}

pub(super) fn set_position(connection: &mut dyn Connection, position: i64) -> Result<(), DbError> {
    const SET: &str = "INSERT INTO views (id, position) VALUES (1, $1) \
        ON CONFLICT (id) DO UPDATE SET position = excluded.position";
    connection.execute(SET, &[Cell::Integer(position)])?;
    Ok(())
}
