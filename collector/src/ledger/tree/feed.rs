//! From the database to the peaks of a tree: of stored nodes where whole subtrees are needed, and of
//! rows where single ones are.

use super::nodes::{low_nodes, nodes};
use super::rows::hashes;
use super::{BLOCK, BLOCK_LEVEL, Join, Peaks, STEP, leaf, width};
use crate::db::{Connection, DbError};

/// Rows per query; PostgreSQL sends all of them before the first can be processed.
const CHUNK: i64 = 64 * BLOCK;

/// The highest level whose width a position can have.
const HIGHEST: u32 = 56;

/// Follows a tree while it grows.
pub(in crate::ledger) trait Observer {
    /// Two nodes were joined.
    fn joined(&mut self, _join: &Join) {}
    /// The tree has grown to this size.
    fn grown(&mut self, _peaks: &Peaks) {}
}

/// Why a tree cannot be put together.
#[derive(Debug, thiserror::Error)]
pub(in crate::ledger) enum FeedError {
    /// This row is missing, and no node covers it.
    #[error("row {0} is missing, and the tree has no node of it")]
    Missing(i64),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// A run of rows that nodes of one level cover; at level 0 the rows themselves, and what is kept of
/// deleted ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) level: u32,
    pub(super) from: i64,
    pub(super) to: i64,
}

/// The pieces, as large as possible, that lead to `size` rows: of nodes up to row `extended`, and
/// without one that covers the row at `focus`.
pub(super) fn pieces(size: i64, extended: i64, focus: Option<i64>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut at = 0;

    while at < size {
        let is_usable = |level: &u32| {
            let end = at.saturating_add(width(*level));
            let covers = focus.is_some_and(|focus| focus > at && focus <= end);
            at & (width(*level) - 1) == 0 && end <= size.min(extended) && !covers
        };
        let level = (1..=HIGHEST / STEP)
            .rev()
            .map(|step| step * STEP)
            .find(is_usable);
        let end = match level {
            Some(level) => at + width(level),
            None => size.min(next_block(at)),
        };

        let level = level.unwrap_or_default();
        match pieces.last_mut() {
            Some(last) if last.level == level => last.to = end,
            _ => pieces.push(Piece {
                level,
                from: at,
                to: end,
            }),
        }
        at = end;
    }
    pieces
}

/// The end of the block of the row after `position`.
fn next_block(position: i64) -> i64 {
    (position / BLOCK + 1) * BLOCK
}

impl Piece {
    /// Adds the piece to a tree that ends where it begins.
    pub(super) fn feed(
        self,
        connection: &mut dyn Connection,
        peaks: &mut Peaks,
        observer: &mut dyn Observer,
    ) -> Result<(), FeedError> {
        if self.level == 0 {
            return self.feed_rows(connection, peaks, observer);
        }

        for node in nodes(connection, self.level, self.from, self.to)? {
            if node.first() != peaks.size() + 1 {
                break;
            }
            peaks.push(node.level, node.hash, &mut |join| observer.joined(join));
        }
        if peaks.size() < self.to {
            return Err(FeedError::Missing(peaks.size() + 1));
        }
        observer.grown(peaks);
        Ok(())
    }

    fn feed_rows(
        self,
        connection: &mut dyn Connection,
        peaks: &mut Peaks,
        observer: &mut dyn Observer,
    ) -> Result<(), FeedError> {
        while peaks.size() < self.to {
            let (from, to) = (peaks.size(), self.to.min(peaks.size() + CHUNK));
            let rows = hashes(connection, from, to)?;
            let low = low_nodes(connection, from, to)?;

            while peaks.size() < to {
                let next = peaks.size() + 1;
                let row = rows.get(&next).map(|hash| (0, leaf(hash)));
                let found = row.or_else(|| {
                    let fits = |level: &u32| peaks.takes(*level) && next - 1 + width(*level) <= to;
                    let mut levels = (0..BLOCK_LEVEL).rev().filter(fits);
                    levels.find_map(|level| {
                        let hash = low.get(&(level, next - 1 + width(level)))?;
                        Some((level, *hash))
                    })
                });

                let (level, hash) = found.ok_or(FeedError::Missing(next))?;
                peaks.push(level, hash, &mut |join| observer.joined(join));
                observer.grown(peaks);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(size: i64, extended: i64, focus: Option<i64>) -> Vec<(u32, i64, i64)> {
        let pieces = pieces(size, extended, focus);
        pieces
            .iter()
            .map(|piece| (piece.level, piece.from, piece.to))
            .collect()
    }

    #[test]
    fn a_large_tree_is_made_of_few_nodes() {
        assert_eq!(list(0, 0, None), []);
        assert_eq!(list(300, 0, None), [(0, 0, 300)]);
        assert_eq!(list(300, 256, None), [(8, 0, 256), (0, 256, 300)]);
        assert_eq!(
            list(200_000, 199_936, None),
            [
                (16, 0, 196_608),
                (8, 196_608, 199_936),
                (0, 199_936, 200_000)
            ]
        );
    }

    #[test]
    fn rows_around_the_focus_are_single() {
        assert_eq!(
            list(200_000, 199_936, Some(66_000)),
            [
                (16, 0, 65_536),
                (8, 65_536, 65_792),
                (0, 65_792, 66_048),
                (8, 66_048, 131_072),
                (16, 131_072, 196_608),
                (8, 196_608, 199_936),
                (0, 199_936, 200_000)
            ]
        );
    }
}
