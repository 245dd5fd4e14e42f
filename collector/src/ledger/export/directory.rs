//! Rows that retention is about to delete, in files of a directory.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::ndjson::write_row;
use crate::ledger::StoredEntry;

/// Directory to which retention writes rows before it deletes them.
pub(in crate::ledger) struct ExportDirectory<'p>(&'p Path);

impl<'p> ExportDirectory<'p> {
    pub(in crate::ledger) fn new(directory: &'p Path) -> Self {
        Self(directory)
    }

    /// Writes `rows` to a new file named by their positions, and syncs it. A file of that name is
    /// from a run that stopped before it deleted the rows; it is overwritten.
    pub(in crate::ledger) fn write<'r>(
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
        let mut lines = Vec::new();
        for row in rows {
            write_row(&mut lines, row)?;
        }

        let mut out = create(&unfinished)?;
        out.write_all(&lines)?;
        out.sync_all()?;

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
