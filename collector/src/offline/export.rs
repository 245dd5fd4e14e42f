//! `audit-collector export`: all rows as lines of JSON.

use std::io::{self, BufWriter, Write as _};

use audit_collector::db;
use audit_collector::ledger::export::write_all;
use clap::Args;

use super::{OfflineError, ask};

// No doc comment: clap would print it in the place of the one above.
#[derive(Args)]
pub(crate) struct Flags {
    /// The ledger to read
    #[arg(long, default_value = "sqlite://audit.db")]
    database: String,
}

/// Prints one JSON object a line, in the order of the chain.
pub(crate) fn run(flags: &Flags) -> Result<(), OfflineError> {
    let opened = db::open_existing(&flags.database)?;
    let mut out = BufWriter::new(io::stdout().lock());
    ask(&opened, |connection| write_all(connection, &mut out))?;
    Ok(out.flush()?)
}
