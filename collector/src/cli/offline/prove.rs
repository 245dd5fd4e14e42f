//! `audit-collector prove`: the proof of one record, for a reader that has nothing else of the
//! ledger.

use std::io::{self, Write as _};

use audit_collector::db;
use audit_collector::ledger::proof::{ProofError, prove};
use clap::Args;

use super::{OfflineError, read_ledger};
use crate::cli::database_flags::DatabaseFlags;

// No doc comment: clap would print it in place of that of the command.
#[derive(Args)]
pub(crate) struct Flags {
    /// The record's `log.record.uid`
    uid: String,
    #[command(flatten)]
    database: DatabaseFlags,
    /// Prove it by the checkpoint at this position, such as one that the reader has [default: the
    /// first one that covers the record]
    #[arg(long, value_name = "POSITION")]
    checkpoint: Option<i64>,
}

/// Prints one JSON document.
pub(crate) fn run(flags: &Flags) -> Result<(), OfflineError> {
    let opened = db::open_to_read(&flags.database.url()?)?;
    let proof = read_ledger(&opened, |connection| {
        match prove(connection, &flags.uid, flags.checkpoint) {
            Err(ProofError::Database(error)) => Err(error),
            proof => Ok(proof),
        }
    })??;

    let text = serde_json::to_string_pretty(&proof).map_err(io::Error::other)?;
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}
