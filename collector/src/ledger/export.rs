//! Rows as newline-delimited JSON, one object per row, for storage elsewhere.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::list::{self, Filter, Start, StoredEntry};
use crate::db::{Connection, DbError};

/// Rows per query.
const PAGE: i64 = 1000;

/// Writes one row as the API shows it, and a newline.
///
/// # Errors
///
/// When the line cannot be written.
pub fn write_row(out: &mut dyn Write, row: &StoredEntry) -> io::Result<()> {
    writeln!(out, "{}", Value::Object(row.flat()))
}

/// Writes all rows, in the order of the chain, within the transaction that `connection` is in.
///
/// # Errors
///
/// Those of the database and of `out`.
pub fn write_all(connection: &mut dyn Connection, out: &mut dyn Write) -> Result<u64, DbError> {
    let (mut position, mut written) = (0, 0);

    loop {
        let rows = list::list(connection, &Filter::default(), Start::After(position), PAGE)?.rows;
        let Some(last) = rows.last() else {
            return Ok(written);
        };

        for row in &rows {
            write_row(out, row).map_err(DbError::failed)?;
            written += 1;
        }
        position = last.position;
    }
}

/// Directory to which retention writes rows before it deletes them.
pub(super) struct ExportDirectory<'p>(&'p Path);

impl<'p> ExportDirectory<'p> {
    pub(super) fn new(directory: &'p Path) -> Self {
        Self(directory)
    }

    /// Writes `rows` to a new file named by their positions, and syncs it. A file of that name is
    /// from a run that stopped before it deleted the rows; it is overwritten.
    pub(super) fn write<'r>(
        &self,
        rows: impl Iterator<Item = &'r StoredEntry> + Clone,
    ) -> io::Result<()> {
        let (Some(first), Some(last)) = (rows.clone().next(), rows.clone().last()) else {
            return Ok(());
        };

        // The hash keeps the files of two ledgers apart.
        let hash: String = hex::encode(last.hash).chars().take(8).collect();
        let file = self.0.join(format!(
            "records-{:012}-{:012}-{hash}.ndjson",
            first.position, last.position
        ));

        let unfinished = unfinished(&file);
        let mut out = io::BufWriter::new(create(&unfinished)?);
        for row in rows {
            write_row(&mut out, row)?;
        }

        out.into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()?;

        std::fs::rename(&unfinished, &file)?;
        File::open(self.0)?.sync_all()
    }
}

fn unfinished(file: &Path) -> PathBuf {
    file.with_extension("ndjson.unfinished")
}

fn create(file: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(file)
}
