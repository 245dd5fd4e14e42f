//! Carries a ledger of the earlier format over to a new database: the same rows at the same positions
//! with the same hashes, and with them all checkpoints and cuts. The earlier database is only read.
//!
//! Each slice is a transaction. What was carried over stays when the process is killed, and the next
//! run goes on behind it.

use super::chain::{Head, head, set_head};
use super::copy::copy_earlier;
use super::cut::Cut;
use super::earlier::{EarlierRow, rows_after};
use super::store::encoder::Encoder;
use crate::db::{self, Connection, DbError};

/// Rows of one transaction.
const SLICE: i64 = 5000;

/// Why a ledger was not carried over.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The target has rows that the earlier ledger does not have.
    #[error("the new database has another ledger: its row {0} is not that of the earlier one")]
    Another(i64),
    /// One of the databases failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// Carries the rows over that the target does not have yet, then everything else. `progress` is called
/// with the last position of each slice, and with the head of the earlier ledger.
///
/// # Errors
///
/// See [`MigrateError`]; the call can be repeated.
pub fn migrate(
    from: &mut dyn Connection,
    to: &mut dyn Connection,
    mut progress: impl FnMut(i64, i64),
) -> Result<Head, MigrateError> {
    let end = head(from)?;
    let mut reached = resumed(from, to)?;
    let mut encoder = Encoder::default();

    loop {
        let rows = rows_after(from, reached.position, SLICE)?;
        let Some(last) = rows.last() else {
            break;
        };
        let last = Head {
            position: last.position,
            hash: last.hash,
        };
        db::write(to, |to| carry(to, &mut encoder, reached, &rows))?;
        reached = last;
        progress(reached.position, end.position);
    }

    db::write(to, |to| {
        copy_earlier(from, to)?;
        // The last rows may have been deleted.
        set_head(to, end)
    })?;
    Ok(end)
}

/// Where an earlier run ended.
fn resumed(from: &mut dyn Connection, to: &mut dyn Connection) -> Result<Head, MigrateError> {
    let reached = head(to)?;
    if reached == Head::START {
        return Ok(reached);
    }

    let before = reached.position - 1;
    let row = rows_after(from, before, 1)?.into_iter().next();
    let is_row =
        row.is_some_and(|row| (row.position, row.hash) == (reached.position, reached.hash));
    if is_row || head(from)? == reached || is_deleted(from, reached)? {
        Ok(reached)
    } else {
        Err(MigrateError::Another(reached.position))
    }
}

/// Whether retention has deleted this row since.
fn is_deleted(from: &mut dyn Connection, place: Head) -> Result<bool, DbError> {
    let cuts = Cut::list(from)?;
    Ok(cuts
        .iter()
        .filter_map(Cut::statement)
        .any(|cut| (cut.first_position..=cut.last_position).contains(&place.position)))
}

fn carry(
    to: &mut dyn Connection,
    encoder: &mut Encoder,
    reached: Head,
    rows: &[EarlierRow],
) -> Result<(), DbError> {
    let placed: Vec<_> = rows
        .iter()
        .map(|row| {
            let place = Head {
                position: row.position,
                hash: row.hash,
            };
            (place, &row.entry)
        })
        .collect();

    encoder.store(to, reached, &placed)?;
    let last = placed.last().map_or(reached, |(place, _)| *place);
    set_head(to, last)
}
