//! `audit-collector checkpoints`: the signed heads of the chain, to be kept elsewhere.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use audit_collector::db;
use audit_collector::ledger::checkpoint::{Checkpoint, Line};
use clap::Args;

use super::{OfflineError, read_ledger};
use crate::cli::database_flags::DatabaseFlags;

// No doc comment: clap would print it in place of that of the command.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    database: DatabaseFlags,
    /// Only those after this position
    #[arg(long, default_value_t = 0, value_name = "POSITION")]
    after: i64,
    /// Only so many of the latest: one covers all rows before it
    #[arg(long, value_name = "N", conflicts_with = "after", value_parser = clap::value_parser!(i64).range(1..))]
    latest: Option<i64>,
}

/// Prints one JSON object a line, oldest first.
pub(crate) fn run(flags: &Flags) -> Result<(), OfflineError> {
    let opened = db::open_to_read(&flags.database.url()?)?;
    let list = read_ledger(&opened, |connection| match flags.latest {
        Some(count) => {
            let mut list = Checkpoint::latest(connection, count)?;
            list.reverse();
            Ok(list)
        }
        None => Checkpoint::list(connection, flags.after, i64::MAX),
    })?;

    let mut out = io::stdout().lock();
    for checkpoint in &list {
        writeln!(
            out,
            "{}",
            serde_json::to_string(&Line::from(checkpoint)).map_err(io::Error::other)?
        )?;
    }
    Ok(())
}

/// Reads the output of [`run`].
pub(super) fn read(file: &Path) -> Result<Vec<Checkpoint>, OfflineError> {
    let text =
        fs::read_to_string(file).map_err(|error| OfflineError::File(file.to_owned(), error))?;

    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let checkpoint = serde_json::from_str::<Line>(line)
                .ok()
                .and_then(|line| Checkpoint::try_from(line).ok());
            checkpoint.ok_or_else(|| OfflineError::Checkpoint(file.to_owned(), index + 1))
        })
        .collect()
}
