//! Sessions: one row per session id. Records without one are grouped by their token.

mod fold;
mod list;
mod row;

pub use list::{SessionQuery, list, one};
pub(super) use row::fold;

use serde::Serialize;
use utoipa::ToSchema;

use crate::db::{Cell, Connection, DbError};

/// A session as it stands at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id, else the reference of its token.
    pub key: String,
    /// `session.id`.
    pub session_id: Option<String>,
    /// `session.token_ref`, the latest.
    pub token_ref: Option<String>,
    /// `user.id`, the latest that is known.
    pub user_id: Option<String>,
    /// `user.name` of that user.
    pub user_name: Option<String>,
    /// Time of its first record.
    pub start: i64,
    /// Time of its last record.
    pub last_seen: i64,
    /// When it ended, and why.
    pub end: Option<(i64, EndedBy)>,
    /// How many exchanges it had.
    pub events: i64,
    /// `audit.action` of its last record.
    pub last_action: Option<String>,
    /// `audit.outcome` of its last record.
    pub last_outcome: Option<String>,
}

/// Cause of the end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EndedBy {
    /// A rule of the filter.
    Rule,
    /// An action that the collector is configured to take for a logout.
    Logout,
    /// No record came for too long.
    Idle,
}

impl EndedBy {
    /// Its name in the database.
    fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Logout => "logout",
            Self::Idle => "idle",
        }
    }

    fn named(name: &str) -> Self {
        match name {
            "rule" => Self::Rule,
            _ => Self::Logout,
        }
    }
}

pub(super) fn expire(connection: &mut dyn Connection, before: i64) -> Result<(), DbError> {
    connection.execute(
        "DELETE FROM sessions WHERE last_seen_unix_nano < $1",
        &[Cell::Integer(before)],
    )?;
    Ok(())
}
