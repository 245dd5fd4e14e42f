//! Views: folds over the ledger that answer questions quickly, and that can be made anew from it at any time.
//!
//! A chore of the writer follows the ledger: it reads the next rows, folds them, and writes what has changed together
//! with the position that it has come to. All times are [`Entry::at`], so that a wrong clock spoils no session.
//!
//! [`Entry::at`]: crate::ledger::entry::Entry::at

mod context;
mod follower;
mod rows;
mod said;
pub mod sessions;
pub mod signals;
pub mod streams;
pub mod usage;

use std::time::Duration;

pub use follower::{Follower, SLICE, position};

use crate::db::{Connection, DbError};
use crate::ledger::Chore;
use crate::ledger::cut::Cut;

/// What the views are made for. The idle time and the grace period count when a view is read, the rest when a record is
/// folded: after a change of those, only a rebuild changes what was folded before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A session without a record for this long has ended.
    pub idle: Duration,
    /// `audit.action` of the records that end their session.
    pub logout_actions: Vec<String>,
    /// Fields of the session context whose changes are kept.
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

/// The chore that keeps the views.
pub fn chore(settings: Settings) -> Box<dyn Chore> {
    Box::new(Follower::new(settings, SLICE))
}

/// Empties the views, so that the chore makes them anew from what the ledger holds. Of records that retention has
/// deleted, only what the cuts say of their streams comes back. Must run in a transaction that writes.
///
/// # Errors
///
/// Those of the database.
pub fn rebuild(connection: &mut dyn Connection) -> Result<(), DbError> {
    for table in [
        "streams",
        "sessions",
        "signals",
        "usage_users",
        "usage_buckets",
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

/// Deletes sessions that were last seen before `before`, in nanoseconds since the Unix epoch, with their signals, and usage
/// that is older. What is known of the streams stays. Must run in a transaction that writes.
///
/// # Errors
///
/// Those of the database.
pub fn expire(connection: &mut dyn Connection, before: i64) -> Result<(), DbError> {
    signals::expire(connection, before)?;
    sessions::expire(connection, before)?;
    usage::expire(connection, before)
}
