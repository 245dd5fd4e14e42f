//! Opens a database without the right to write, as an auditor does.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::files::{has_log, has_shared_memory};
use super::{DbError, prepare};

/// Reading takes locks in the shared memory beside the file. Where another program has it, nothing
/// is created. Otherwise the connection may write, since only such a one removes again what SQLite
/// creates. Without that right, and with no change in a log, the file alone is the database.
pub(super) fn open(file: &Path, busy_timeout: Duration) -> Result<Connection, DbError> {
    match open_with_locks(file, busy_timeout) {
        Ok(Some(connection)) => Ok(connection),
        Err(error) if !lacks_rights(&error) => Err(error.into()),
        _ if has_log(file) => Err(DbError::failed(format!(
            "{file} has changes in its log {file}-wal, which cannot be read without the right to \
             write: copy both to a directory where you may write",
            file = file.display()
        ))),
        _ => Ok(open_alone(file, busy_timeout)?),
    }
}

/// Opens the file without its log, and without a lock.
pub(super) fn open_alone(
    file: &Path,
    busy_timeout: Duration,
) -> Result<Connection, rusqlite::Error> {
    let flags = READ | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(alone(file), flags)?;
    prepare(connection, busy_timeout, PRAGMAS)
}

const READ: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

const PRAGMAS: &str =
    "PRAGMA query_only = ON; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY";

/// `None` where SQLite would leave files behind.
fn open_with_locks(
    file: &Path,
    busy_timeout: Duration,
) -> Result<Option<Connection>, rusqlite::Error> {
    let is_shared = has_shared_memory(file);
    let flags = if is_shared { READ } else { super::FLAGS };
    let connection = Connection::open_with_flags(file, flags)?;
    if !is_shared && connection.is_readonly("main")? {
        return Ok(None);
    }
    prepare(connection, busy_timeout, PRAGMAS).map(Some)
}

fn lacks_rights(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
    )
}

/// The URI of a file that no program changes.
fn alone(file: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in file.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            // Cannot fail: the text is in memory.
            let _ = write!(uri, "%{byte:02x}");
        }
    }
    uri.push_str("?immutable=1");
    uri
}
