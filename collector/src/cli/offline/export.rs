//! `audit-collector export`: all rows in a format for other tools.

use std::io::{self, BufWriter, Write as _};

use audit_collector::db;
use audit_collector::ledger::export::{self, Formulas, write_all};
use clap::{Args, ValueEnum};

use super::{OfflineError, read_ledger};
use crate::cli::database_flags::DatabaseFlags;

// No doc comment: clap would print it in place of that of the command.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    database: DatabaseFlags,
    /// How records are written
    #[arg(long, value_enum, default_value_t = Format::Ndjson, value_name = "FORMAT")]
    format: Format,
    /// With --format csv: leaves texts as they are that a spreadsheet would run as a formula. Without
    /// this flag they, and those that begin with ', get a ' before them
    #[arg(long)]
    raw_formulas: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One flat JSON object a line
    Ndjson,
    /// Comma-separated values
    Csv,
    /// Apache Parquet
    Parquet,
    /// OCSF 1.8.0, one event a line
    Ocsf,
    /// ECS 9.4.0, one document a line
    Ecs,
}

impl Flags {
    fn format(&self) -> Result<export::Format, OfflineError> {
        let formulas = if self.raw_formulas {
            Formulas::Raw
        } else {
            Formulas::Quoted
        };

        match self.format {
            Format::Csv => Ok(export::Format::Csv(formulas)),
            _ if self.raw_formulas => Err(OfflineError::RawFormulas),
            Format::Ndjson => Ok(export::Format::Ndjson),
            Format::Parquet => Ok(export::Format::Parquet),
            Format::Ocsf => Ok(export::Format::Ocsf),
            Format::Ecs => Ok(export::Format::Ecs),
        }
    }
}

/// Prints all records, in the order of the chain.
pub(crate) fn run(flags: &Flags) -> Result<(), OfflineError> {
    let format = flags.format()?;
    let opened = db::open_to_read(&flags.database.url()?)?;
    let mut out = BufWriter::new(io::stdout().lock());

    read_ledger(&opened, |connection| {
        Ok(write_all(connection, format, &mut out))
    })??;
    Ok(out.flush()?)
}
