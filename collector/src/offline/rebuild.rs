//! `audit-collector rebuild-views`: sessions, signals, usage and streams made anew from the records.

use audit_collector::db;
use audit_collector::views;
use clap::Args;

use super::OfflineError;

// No doc comment: clap would print it in the place of the one above.
#[derive(Args)]
pub(crate) struct Flags {
    /// The ledger whose views are emptied; the collector fills them again as soon as it runs
    #[arg(long, default_value = "sqlite://audit.db")]
    database: String,
}

/// Empties the views; a collector that runs notices it at its next step.
pub(crate) fn run(flags: &Flags) -> Result<(), OfflineError> {
    let opened = db::open_existing(&flags.database)?;
    Ok(db::write(&mut *opened.database.connect()?, views::rebuild)?)
}
