//! `audit-collector rebuild-views`: rebuilds sessions, signals, usage and streams from the records.

use audit_collector::db;
use audit_collector::views;
use clap::Args;

use super::OfflineError;
use crate::cli::database_flags::DatabaseFlags;

// No doc comment: clap would print it in place of that of the command.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Empties the views; a running collector rebuilds them from its next step on.
pub(crate) fn run(flags: &Flags) -> Result<(), OfflineError> {
    let opened = db::open_existing(&flags.database.url()?)?;
    Ok(db::write(&mut *opened.database.connect()?, views::rebuild)?)
}
