//! Commands on a ledger beside serving it.

pub(crate) mod backup;
pub(crate) mod checkpoints;
pub(crate) mod compare;
pub(crate) mod export;
mod far_end;
pub(crate) mod migrate;
pub(crate) mod prove;
pub(crate) mod rebuild;
mod unknown;
pub(crate) mod verify;

use std::io;
use std::path::{Path, PathBuf};

use audit_collector::db::{self, DbError, OpenError, Opened};
use audit_collector::far_end::{FileError, LineError, TableError, Unproved};
use audit_collector::ledger::copy::CopyError;
use audit_collector::ledger::export::ExportError;
use audit_collector::ledger::migrate::MigrateError;
use audit_collector::ledger::proof::ProofError;
use audit_collector::ledger::signing::{Key, KeyError};

use crate::cli::database_flags::DatabaseFileError;

/// Why such a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OfflineError {
    #[error("--database: {0}")]
    Open(#[from] OpenError),
    #[error("{0}")]
    Database(#[from] DbError),
    #[error(transparent)]
    DatabaseFile(#[from] DatabaseFileError),
    #[error(
        "there is no key to check signatures with: give --signing-key, --public-key, or --no-signatures"
    )]
    NoKey,
    #[error("--public-key: {0}")]
    PublicKey(KeyError),
    #[error("--signing-key: {0}")]
    SigningKey(KeyError),
    #[error("{file}: {cause}", file = .0.display(), cause = .1)]
    File(PathBuf, io::Error),
    #[error("{file}: line {line}: not a checkpoint", file = .0.display(), line = .1)]
    Checkpoint(PathBuf, usize),
    #[error("{0}: {1}")]
    Line(String, LineError),
    #[error("{0}: {1}")]
    Table(String, TableError),
    #[error("{0}: {1}")]
    Parquet(String, FileError),
    #[error(transparent)]
    Unproved(#[from] Unproved),
    #[error("-: --from parquet reads files, and not stdin")]
    Stdin,
    #[error("{} exists already, and a copy replaces nothing", .0.display())]
    Exists(PathBuf),
    #[error("{0}")]
    Copy(CopyError),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error("{0}")]
    Incomparable(String),
    #[error("{0}; `migrate` can be repeated")]
    Migrate(MigrateError),
    #[error("--raw-formulas needs --format csv")]
    RawFormulas,
    #[error("cannot write to stdout: {0}")]
    Stdout(#[from] io::Error),
}

impl From<ExportError> for OfflineError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Read(error) => error.into(),
            ExportError::Write(error) => error.into(),
        }
    }
}

/// Runs the closure on one state of the ledger; another program may continue to write.
fn read_ledger<T>(
    opened: &Opened,
    queries: impl FnOnce(&mut dyn db::Connection) -> Result<T, DbError>,
) -> Result<T, OfflineError> {
    let mut connection = opened.database.connect()?;
    connection.begin_read()?;
    let result = queries(&mut *connection);
    connection.rollback();
    Ok(result?)
}

/// The key in `file`, which must exist.
fn read_key(file: &Path) -> Result<Key, OfflineError> {
    Key::load(file).map_err(OfflineError::SigningKey)
}
