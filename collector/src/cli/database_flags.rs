//! The database: the same flags for serving and for every other command.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;

// No doc comment: clap would print it in place of that of the program.
#[derive(Args)]
pub(crate) struct DatabaseFlags {
    /// Where the records are kept: sqlite://FILE, created by serving when it is missing, or
    /// postgres://USER:PASSWORD@HOST/NAME
    #[arg(long, default_value = "sqlite://audit.db", value_name = "URL")]
    database: String,
    /// File that holds the database URL instead, so that a password is not seen among the processes
    #[arg(long, value_name = "FILE", conflicts_with = "database")]
    database_file: Option<PathBuf>,
}

/// The file with the URL cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("--database-file: {file}: {cause}", file = .0.display(), cause = .1)]
pub(crate) struct DatabaseFileError(PathBuf, io::Error);

impl DatabaseFlags {
    /// The URL.
    pub(crate) fn url(&self) -> Result<String, DatabaseFileError> {
        let Some(file) = &self.database_file else {
            return Ok(self.database.clone());
        };
        let read =
            fs::read_to_string(file).map_err(|cause| DatabaseFileError(file.clone(), cause))?;
        Ok(read.trim_end_matches(['\r', '\n']).to_owned())
    }
}
