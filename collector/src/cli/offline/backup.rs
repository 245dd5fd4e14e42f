//! `audit-collector backup` and `restore`: a verified copy of a ledger, also while a collector
//! writes, and from one kind of database to the other.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use audit_collector::completeness::Moment;
use audit_collector::db::{self, Opened};
use audit_collector::ledger::chain::Head;
use audit_collector::ledger::copy::{CopyError, copy};
use audit_collector::ledger::verify::{Trust, Verification, verify};
use audit_collector::views;
use clap::Args;

use super::{OfflineError, read_ledger};
use crate::cli::database_flags::DatabaseFlags;

// No doc comment: clap would print it in place of that of the command.
#[derive(Args)]
pub(crate) struct BackupFlags {
    #[command(flatten)]
    database: DatabaseFlags,
    /// File to write, which must not exist
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

// No doc comment: clap would print it in place of that of the command.
#[derive(Args)]
pub(crate) struct RestoreFlags {
    /// A file that `backup` has written
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Copies a database to a file; returns whether the copy has no fault.
pub(crate) fn backup(flags: &BackupFlags, now: i64) -> Result<bool, OfflineError> {
    let from = db::open_to_read(&flags.database.url()?)?;
    to_file(&from, &flags.to, now)
}

/// Copies a file to an empty database; returns whether the copy has no fault.
pub(crate) fn restore(flags: &RestoreFlags, now: i64) -> Result<bool, OfflineError> {
    let from = db::open_to_read(&url(&flags.from))?;
    let target = flags.database.url()?;
    match db::file(&target)? {
        Some(file) => to_file(&from, &file, now),
        None => report(&transfer(&from, &db::open(&target)?, now)?),
    }
}

/// Writes the copy under another name, so that half of one is never taken for a ledger.
fn to_file(from: &Opened, file: &Path, now: i64) -> Result<bool, OfflineError> {
    let failed = |error| OfflineError::File(file.to_owned(), error);
    if let Some(taken) = ["", "-wal", "-shm"]
        .map(|suffix| with_suffix(file, suffix))
        .into_iter()
        .find(|name| name.exists())
    {
        return Err(OfflineError::Exists(taken));
    }

    let unfinished = with_suffix(file, ".unfinished");
    remove(&unfinished).map_err(failed)?;
    let copied = transfer(from, &db::open(&url(&unfinished))?, now);
    if copied.is_err() {
        // The cause is the error of the copy.
        let _ = remove(&unfinished);
    }
    let found = copied?;
    complete(&unfinished, file).map_err(failed)?;

    let directory = file.parent().filter(|parent| *parent != Path::new(""));
    File::open(directory.unwrap_or(Path::new(".")))
        .and_then(|directory| directory.sync_all())
        .map_err(failed)?;
    report(&found)
}

/// Gives a copy its name, if all of it is in its file.
fn complete(unfinished: &Path, file: &Path) -> io::Result<()> {
    // The last connection folds the log into the file and removes it. A failure is not reported.
    if with_suffix(unfinished, "-wal").exists() {
        remove(unfinished)?;
        return Err(io::Error::new(
            io::ErrorKind::StorageFull,
            "the copy could not be completed: it needs room for the ledger twice",
        ));
    }

    // Unlike a rename, a hard link does not replace a file that a collector has just made.
    fs::hard_link(unfinished, file)?;
    fs::remove_file(unfinished)
}

/// Copies and verifies in one transaction: the target has all of it or nothing.
fn transfer(from: &Opened, to: &Opened, now: i64) -> Result<(Head, Verification), OfflineError> {
    let moment = Moment { now, grace: 0 };
    let mut target = to.database.connect()?;
    read_ledger(from, |source| {
        Ok(db::write(&mut *target, |target| {
            let head = copy(source, target)?;
            views::rebuild(target)?;
            Ok::<_, CopyError>((head, verify(target, &Trust::default(), moment)?))
        }))
    })?
    .map_err(OfflineError::Copy)
}

fn report((head, found): &(Head, Verification)) -> Result<bool, OfflineError> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "copied: {} rows up to row {}, {} checkpoints",
        found.rows, head.position, found.checkpoints
    )?;
    writeln!(out, "faults: {}", found.fault_count)?;
    if found.fault_count > 0 {
        writeln!(out, "the copy is as faulty as its original: verify both")?;
    }
    Ok(found.fault_count == 0)
}

/// Removes what a copy that did not end has left.
fn remove(file: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        match fs::remove_file(with_suffix(file, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
