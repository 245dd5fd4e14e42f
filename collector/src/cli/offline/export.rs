//! `audit-collector export`: all rows as lines of JSON.

use std::io::{self, BufWriter, Write as _};

use audit_collector::db;
use audit_collector::ledger::export::{Format, write_all};
use clap::Args;

use super::{OfflineError, read_ledger};
use crate::cli::database_flags::DatabaseFlags;

// No doc comment: clap would print it in place of that of the command.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Prints one JSON object a line, in the order of the chain.
pub(crate) fn run(flags: &Flags) -> Result<(), OfflineError> {
    let opened = db::open_to_read(&flags.database.url()?)?;
    let mut out = BufWriter::new(io::stdout().lock());
    read_ledger(&opened, |connection| {
        Ok(write_all(connection, Format::Ndjson, &mut out))
    })??;
    Ok(out.flush()?)
}
