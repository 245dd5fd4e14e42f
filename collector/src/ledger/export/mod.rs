//! Rows in formats that other tools read.

mod cells;
mod columns;
mod csv;
mod directory;
mod ecs;
mod fields;
mod flat;
mod line;
mod ndjson;
mod ocsf;
mod parquet;

use std::io::{self, Write};

use csv::Csv;
pub use csv::Formulas;
pub(super) use directory::ExportDirectory;
use ecs::Ecs;
use ndjson::Ndjson;
use ocsf::Ocsf;
use parquet::Parquet;

use super::list::{self, Filter, Start, StoredEntry};
use super::store::decoder::Decoder;
use crate::db::{Connection, DbError};

/// Rows per query.
pub const PAGE: i64 = 1000;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One flat JSON object per line, as the API lists a record, with `time` in RFC 3339 and `flags`
    /// as one text.
    Ndjson,
    /// A line of cells for each record, after one with the names of the columns.
    Csv(Formulas),
    /// Apache Parquet with the columns of CSV, typed: ids as strings, `time` as a timestamp of
    /// nanoseconds in UTC. It is written in row groups, and its end names them all.
    Parquet,
    /// One event of OCSF 1.8.0 per line, as JSON.
    Ocsf,
    /// One document of ECS 9.4.0 per line, as JSON.
    Ecs,
}

impl Format {
    /// A writer of one export.
    ///
    /// # Errors
    ///
    /// When nothing can be written in this format.
    pub fn encoder(self) -> io::Result<Box<dyn Encoder>> {
        Ok(match self {
            Self::Ndjson => Box::new(Ndjson),
            Self::Csv(formulas) => Box::new(Csv::new(formulas)),
            Self::Parquet => Box::new(Parquet::new()?),
            Self::Ocsf => Box::new(Ocsf),
            Self::Ecs => Box::new(Ecs),
        })
    }
}

/// Writes the rows of one export: rows any number of times, and the end once.
pub trait Encoder: Send {
    /// Some rows. A format can keep them back, up to a bound of its own.
    ///
    /// # Errors
    ///
    /// When one of them cannot be written in this format.
    fn rows(&mut self, rows: &[StoredEntry], out: &mut Vec<u8>) -> io::Result<()>;

    /// What was kept back, and what comes after the last row.
    ///
    /// # Errors
    ///
    /// When it cannot be written in this format.
    fn end(&mut self, _out: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }
}

/// An export ended before its last row.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The rows cannot be read.
    #[error(transparent)]
    Read(#[from] DbError),
    /// They cannot be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// Writes all rows, in the order of the chain, within the transaction that `connection` is in.
///
/// # Errors
///
/// Those of the database and of `out`.
pub fn write_all(
    connection: &mut dyn Connection,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    let (mut encoder, mut bytes) = (format.encoder()?, Vec::new());
    let (mut decoder, mut position) = (Decoder::default(), 0);

    loop {
        let start = Start::After(position);
        let rows = list::list_with(connection, &mut decoder, &Filter::default(), start, PAGE)?.rows;
        let Some(last) = rows.last() else {
            encoder.end(&mut bytes)?;
            return Ok(out.write_all(&bytes)?);
        };

        encoder.rows(&rows, &mut bytes)?;
        out.write_all(&bytes)?;
        bytes.clear();
        position = last.position;
    }
}

/// The line of a row in [`Format::Ndjson`], if the hash of the row can be computed from it.
pub(super) fn whole_line(row: &StoredEntry) -> Option<String> {
    ndjson::whole_line(row)
}
