//! Views: folds over the ledger that answer queries quickly. They can be rebuilt from the ledger at
//! any time.
//!
//! A background task of the writer follows the ledger. It reads the next rows, folds them, and
//! writes the changes together with the position that it has reached. All times are [`Entry::at`],
//! so that a wrong clock does not spoil a session.
//!
//! [`Entry::at`]: crate::ledger::entry::Entry::at

mod context;
mod cursor;
mod exchange;
mod follower;
mod rows;
pub mod sessions;
pub mod signals;
pub mod streams;
pub mod terms;
pub mod usage;

use std::time::Duration;

pub use cursor::SeenCursor;
pub use follower::{Follower, SLICE, position};

use crate::db::{Connection, DbError};
use crate::ledger::BackgroundTask;
use crate::ledger::cut::Cut;

/// Settings of the views. The idle time and the grace period apply when a view is read, the others
/// when a record is folded. After a change of the others, only a rebuild changes older sessions and
/// signals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A session without a record for this long has ended.
    pub idle: Duration,
    /// `audit.action` of the records that end their session.
    pub logout_actions: Vec<String>,
    /// Fields of the session context; their changes are kept.
    pub signals: Vec<String>,
    /// How long a number of a stream may be missing before it counts as lost.
    pub grace: Duration,
}

impl Default for Settings {
    /// 30 minutes; no logout action; `device_id` and `country`; five minutes.
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30 * 60),
            logout_actions: Vec::new(),
            signals: ["device_id", "country"].map(ToOwned::to_owned).to_vec(),
            grace: Duration::from_secs(5 * 60),
        }
    }
}

/// The background task that maintains the views.
pub fn task(settings: Settings) -> Box<dyn BackgroundTask> {
    Box::new(Follower::new(settings, SLICE))
}

/// Empties the views, so that the background task rebuilds them from the ledger. For records that
/// retention has deleted, only the stream data of their cuts is restored. Must run in a transaction
/// that writes.
///
/// # Errors
///
/// Those of the database.
pub fn rebuild(connection: &mut dyn Connection) -> Result<(), DbError> {
    streams::clear(connection)?;
    for table in [
        "sessions",
        "signals",
        "usage_users",
        "usage_buckets",
        "terms",
    ] {
        connection.execute(&format!("DELETE FROM {table}"), &[])?;
    }

    follower::set_position(connection, 0)?;
    for cut in Cut::list(connection)? {
        let Some(statement) = cut.statement() else {
            continue;
        };
        streams::merge(connection, statement.streams())?;
    }

    Ok(())
}

/// Deletes sessions last seen before `before`, in nanoseconds since the Unix epoch, with their
/// signals, and older usage. Stream data stays. Must run in a transaction that writes.
///
/// # Errors
///
/// Those of the database.
pub fn expire(connection: &mut dyn Connection, before: i64) -> Result<(), DbError> {
    terms::expire(connection, before)?;
    signals::expire(connection, before)?;
    sessions::expire(connection, before)?;
    usage::expire(connection, before)
}
