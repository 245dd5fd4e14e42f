//! `audit-collector rebuild-views`: sessions, signals, usage and streams made anew from the records.

use audit_collector::db;
use audit_collector::views;
use clap::Args;

use super::OfflineError;
use crate::database_flags::DatabaseFlags;

// No doc comment: clap would print it in the place of the one above.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Empties the views; a collector that runs notices it at its next step.
pub(crate) fn run(flags: &Flags) -> Result<(), OfflineError> {
    let opened = db::open_existing(&flags.database.url()?)?;
    Ok(db::write(&mut *opened.database.connect()?, views::rebuild)?)
}
