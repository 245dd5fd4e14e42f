//! What the tree needs of rows that retention deletes.

use super::nodes::{Nodes, TREE, low_nodes, nodes, remove_low};
use super::{BLOCK, BLOCK_LEVEL, join, leaf, width};
use crate::db::{Cell, Connection, DbError};
use crate::ledger::chain::Hash;

/// Keeps the nodes of rows that are deleted in the same transaction, given by position and hash in
/// their order. Of each block stay the roots of the largest subtrees without any row; of one that is
/// gone as a whole its own root, once it is stored.
///
/// # Errors
///
/// Those of the database; also when the root of a block is not that of its rows. The tree was then
/// changed, and deleting the rows would hide that.
pub(in crate::ledger) fn keep_nodes(
    connection: &mut dyn Connection,
    rows: &[(i64, Hash)],
) -> Result<(), DbError> {
    for rows in rows.chunk_by(|(one, _), (next, _)| end_of_block(*one) == end_of_block(*next)) {
        if let Some((position, _)) = rows.first() {
            keep_in_block(connection, end_of_block(*position), rows)?;
        }
    }
    Ok(())
}

/// Last position of the block with the row at `position`.
fn end_of_block(position: i64) -> i64 {
    (position - 1) / BLOCK * BLOCK + BLOCK
}

/// The same for rows of the block that ends with `end`.
fn keep_in_block(
    connection: &mut dyn Connection,
    end: i64,
    rows: &[(i64, Hash)],
) -> Result<(), DbError> {
    let mut kept = low_nodes(connection, end - BLOCK, end)?;
    kept.extend(
        rows.iter()
            .map(|(position, hash)| ((0, *position), leaf(hash))),
    );
    for level in 1..BLOCK_LEVEL {
        join_level(&mut kept, level, end);
    }

    let whole = joined(&kept, BLOCK_LEVEL, end);
    let stored = nodes(connection, BLOCK_LEVEL, end - BLOCK, end)?;
    match (whole, stored.first()) {
        (Some(hash), Some(stored)) if stored.hash == hash => kept.clear(),
        (Some(_), Some(_)) => {
            return Err(DbError::failed(format!(
                "the node of the rows up to {end} is not theirs, and none of them is deleted"
            )));
        }
        _ => {}
    }

    remove_low(connection, end)?;
    insert(connection, &kept)
}

fn insert(connection: &mut dyn Connection, kept: &Nodes) -> Result<(), DbError> {
    if kept.is_empty() {
        return Ok(());
    }

    let mut cells = Vec::with_capacity(kept.len() * TREE.columns.len());
    for ((level, last), hash) in kept {
        let place = [i64::from(*level), *last].map(Cell::Integer);
        cells.extend(place.into_iter().chain([Cell::Bytes(hash)]));
    }
    connection.insert(&TREE, &cells)
}

/// Puts nodes at `level` in the place of those that they join, in the block that ends with `end`.
fn join_level(kept: &mut Nodes, level: u32, end: i64) {
    let width = width(level);
    let mut last = end - BLOCK + width;
    while last <= end {
        if let Some(hash) = joined(kept, level, last) {
            kept.remove(&(level - 1, last - width / 2));
            kept.remove(&(level - 1, last));
            kept.insert((level, last), hash);
        }
        last += width;
    }
}

/// The node at `level` that ends with `last`, if both nodes below it are there.
fn joined(kept: &Nodes, level: u32, last: i64) -> Option<Hash> {
    let left = kept.get(&(level - 1, last - width(level) / 2))?;
    let right = kept.get(&(level - 1, last))?;
    Some(join(left, right))
}
