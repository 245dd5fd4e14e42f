//! A Merkle tree over the hashes of all rows, in the order of the chain, as in RFC 9162, section 2.1.
//!
//! A checkpoint signs its root. A few hashes then lead from one row to that root, and nothing else
//! of the ledger is needed to prove the row.
//!
//! The table `tree` holds the roots of the complete subtrees at the levels 8, 16, 24 and so on: one
//! for each 256 rows, one for each 256 of those. What lies between is computed from at most 255 of
//! them at each level. Where retention has deleted rows of a block of 256 whose others are still
//! there, the roots of the largest subtrees of deleted rows stay, too.

mod feed;
mod grow;
mod keep;
mod nodes;
mod path;
mod peaks;
mod rows;

pub(super) use grow::{Broken, Growth, grow};
pub(super) use keep::keep_nodes;
pub use nodes::TREE;
pub(super) use nodes::{NodeRow, WINDOW, strays, window};
pub use path::root_of_path;
pub(super) use path::{PathError, path};
pub(super) use peaks::width;
pub use peaks::{Join, Node, Peaks, join, leaf};

/// Levels between two kept ones: a node has 2^8 = 256 of those below it. With fewer, the table is
/// larger; with more, a proof reads more rows.
const STEP: u32 = 8;

/// The lowest level at which all complete subtrees are kept.
pub(super) const BLOCK_LEVEL: u32 = STEP;

/// Rows of a block, the subtree at [`BLOCK_LEVEL`].
const BLOCK: i64 = width(BLOCK_LEVEL);

/// Whether all complete subtrees at `level` are kept.
pub(super) const fn is_complete(level: u32) -> bool {
    level > 0 && level.is_multiple_of(STEP)
}
