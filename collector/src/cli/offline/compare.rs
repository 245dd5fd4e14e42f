//! `audit-collector compare`: whether two ledgers have the same rows, and where they part.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use audit_collector::db::{self, Opened};
use audit_collector::ledger::compare::{Relation, compare};
use clap::Args;

use super::{OfflineError, read_ledger};

// No doc comment: clap would print it in place of that of the command.
#[derive(Args)]
pub(crate) struct Flags {
    /// A ledger: a database URL, a SQLite file, or a file with a URL
    #[arg(value_name = "LEDGER")]
    first: String,
    /// The other one
    #[arg(value_name = "LEDGER")]
    second: String,
}

/// How a SQLite file begins.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// Prints how the ledgers relate; returns whether one is the beginning of the other.
pub(crate) fn run(flags: &Flags) -> Result<bool, OfflineError> {
    let (first, second) = (open(&flags.first)?, open(&flags.second)?);
    let relation = read_ledger(&first, |first| {
        Ok(read_ledger(&second, |second| compare(first, second)))
    })??;

    if let Relation::Unknown { .. } = relation {
        return Err(OfflineError::Incomparable(Words(relation).to_string()));
    }
    writeln!(io::stdout().lock(), "{}", Words(relation))?;
    Ok(!matches!(relation, Relation::Differ { .. }))
}

fn open(ledger: &str) -> Result<Opened, OfflineError> {
    if ledger.contains("://") {
        return Ok(db::open_to_read(ledger)?);
    }

    let failed = |error| OfflineError::File(Path::new(ledger).to_owned(), error);
    let mut start = Vec::new();
    let file = File::open(ledger).map_err(failed)?;
    file.take(SQLITE.len() as u64)
        .read_to_end(&mut start)
        .map_err(failed)?;
    if start == SQLITE {
        return Ok(db::open_to_read(&format!("sqlite://{ledger}"))?);
    }

    let url = fs::read_to_string(ledger).map_err(failed)?;
    Ok(db::open_to_read(url.trim_end_matches(['\r', '\n']))?)
}

/// A relation in words.
struct Words(Relation);

impl fmt::Display for Words {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Relation::Equal { position } => {
                write!(out, "equal: both end with row {position}")
            }
            Relation::FirstIsPrefix { position, more } => write!(
                out,
                "the first is a prefix of the second: it ends with row {position}, and the second has {more} more"
            ),
            Relation::SecondIsPrefix { position, more } => write!(
                out,
                "the second is a prefix of the first: it ends with row {position}, and the first has {more} more"
            ),
            Relation::Differ {
                equal_up_to,
                differ_from,
            } => {
                write!(
                    out,
                    "DIFFERENT from row {differ_from} on, equal up to row {equal_up_to}"
                )?;
                match differ_from - equal_up_to {
                    1 => Ok(()),
                    _ => out.write_str("; the rows between were deleted by retention"),
                }
            }
            Relation::Unknown {
                equal_up_to,
                position,
            } => write!(
                out,
                "equal up to row {equal_up_to}; up to row {position} nothing can be compared, since retention has deleted the rows"
            ),
        }
    }
}
