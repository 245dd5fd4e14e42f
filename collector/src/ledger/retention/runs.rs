//! Which rows may be deleted.

use super::Hold;
use crate::db::DbError;
use crate::ledger::StoredEntry;

/// The rows that may be deleted, in runs of consecutive positions.
pub(super) fn runs<'r>(
    rows: &[&'r StoredEntry],
    holds: &[Hold],
) -> Result<Vec<Vec<&'r StoredEntry>>, DbError> {
    let mut runs: Vec<Vec<&StoredEntry>> = Vec::new();
    for row in rows {
        if is_held(row, holds)? {
            continue;
        }

        match runs.last_mut() {
            Some(run)
                if run
                    .last()
                    .is_some_and(|last| last.position + 1 == row.position) =>
            {
                run.push(row)
            }
            _ => runs.push(vec![row]),
        }
    }

    Ok(runs)
}

fn is_held(row: &StoredEntry, holds: &[Hold]) -> Result<bool, DbError> {
    if holds.is_empty() || !row.entry.attributes.contains("audit.tag.") {
        return Ok(false);
    }

    let attributes = row.entry.attributes()?;
    Ok(holds.iter().any(|hold| {
        let value = attributes.get(&format!("audit.tag.{}", hold.tag));
        value.is_some_and(|value| {
            hold.value
                .as_ref()
                .is_none_or(|held| value.as_str() == Some(held))
        })
    }))
}
