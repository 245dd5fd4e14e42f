//! The files of a database, and whether their names still lead to them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::DbError;

/// What SQLite appends to the name of the database: nothing, for its write-ahead log, and for the
/// memory that connections share.
const SUFFIXES: [&str; 3] = ["", WAL, "-shm"];

/// Of the write-ahead log.
const WAL: &str = "-wal";

/// Device and inode. An inode is not given to another file while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id(u64, u64);

/// A name, and the file that it led to when the database was opened; `None` without such a file.
#[derive(Clone, Debug)]
struct Place {
    path: PathBuf,
    id: Option<Id>,
}

/// The files that the open connections of a database use.
#[derive(Debug)]
pub(super) struct Files {
    places: [Place; 3],
    /// The greatest length of the database itself, in bytes. Checkpoints make it longer, those of
    /// another process too, and nothing that uses SQLite makes it shorter.
    longest: AtomicU64,
}

impl Place {
    fn find(path: PathBuf) -> Self {
        let id = fs::metadata(&path)
            .ok()
            .map(|found| Id(found.dev(), found.ino()));
        Self { path, id }
    }

    /// Whether the name leads to the same file as before.
    fn is_unchanged(&self) -> bool {
        self.id.is_none() || Self::find(self.path.clone()).id == self.id
    }
}

impl Files {
    /// The files that the names lead to now.
    pub(super) fn find(database: &Path) -> Self {
        Self {
            places: SUFFIXES.map(|suffix| Place::find(beside(database, suffix))),
            longest: AtomicU64::new(length(database)),
        }
    }

    /// The same without those that SQLite removes with its last connection.
    pub(super) fn lasting(&self) -> Self {
        let mut places = self.places.clone();
        for place in places.iter_mut().skip(1) {
            place.id = None;
        }
        Self {
            places,
            longest: AtomicU64::new(self.longest.load(Ordering::Relaxed)),
        }
    }

    /// Fails unless every name leads to the same file as before, and the database is not shorter
    /// than it was: what is written to another one is lost, and a log that is applied to another
    /// database destroys it.
    pub(super) fn check(&self) -> Result<(), DbError> {
        let [database, ..] = &self.places;
        let moved = self.places.iter().find(|place| !place.is_unchanged());
        match moved.or_else(|| self.is_cut().then_some(database)) {
            None => Ok(()),
            Some(place) => Err(DbError::failed(format!(
                "{} was removed, moved, replaced or cut while it was in use: put it back, or \
                 restart the collector",
                place.path.display()
            ))),
        }
    }

    fn is_cut(&self) -> bool {
        let [database, ..] = &self.places;
        let found = length(&database.path);
        found < self.longest.fetch_max(found, Ordering::Relaxed)
    }
}

/// Bytes of a file; 0 if there is none.
fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |found| found.len())
}

/// The files in use, and the database's own file for the time in which no connection is open.
#[derive(Debug, Default)]
pub(super) struct Known {
    lasting: Option<Files>,
    in_use: std::sync::Weak<Files>,
}

impl Known {
    /// Must hold before a connection is opened, and again before it reads: a new connection empties
    /// a log that it finds without its database.
    pub(super) fn check(&self) -> Result<(), DbError> {
        match self.in_use.upgrade() {
            Some(files) => files.check(),
            None => self.lasting.as_ref().map_or(Ok(()), Files::check),
        }
    }

    /// The files of a connection that has just read `database`.
    pub(super) fn share(&mut self, database: &Path) -> Result<Arc<Files>, DbError> {
        self.check()?;
        if let Some(files) = self.in_use.upgrade() {
            return Ok(files);
        }

        let files = Arc::new(Files::find(database));
        self.lasting = Some(files.lasting());
        self.in_use = Arc::downgrade(&files);
        Ok(files)
    }
}

/// The write-ahead log of a database that is missing or empty. SQLite would delete the log, with
/// every change that is only there.
pub(in crate::db) fn orphaned_log(database: &Path) -> Option<PathBuf> {
    (!has_content(database) && has_log(database)).then(|| log_of(database))
}

/// Fails when the first read of a new connection would delete a log.
pub(super) fn check_log(database: &Path) -> Result<(), DbError> {
    orphaned_log(database).map_or(Ok(()), |log| {
        Err(DbError::failed(format!(
            "{} holds changes, but its database is gone",
            log.display()
        )))
    })
}

/// The name of the write-ahead log.
pub(in crate::db) fn log_of(database: &Path) -> PathBuf {
    beside(database, WAL)
}

/// Whether there are changes that only the write-ahead log has.
pub(super) fn has_log(database: &Path) -> bool {
    has_content(&beside(database, WAL))
}

/// Whether another connection is open, or one ended without closing.
pub(super) fn has_shared_memory(database: &Path) -> bool {
    SUFFIXES
        .iter()
        .all(|suffix| beside(database, suffix).exists())
}

fn has_content(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| found.len() > 0)
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
