//! New rows of the ledger, with their places in the chain.

use super::plan::Original;
use crate::ledger::chain::{Hasher, Head};
use crate::ledger::entry::Entry;

/// The new rows with their places in the chain.
pub(super) struct Rows<'b> {
    pub(super) placed: Vec<(Head, &'b Entry)>,
    /// The end of the chain with them.
    pub(super) head: Head,
}

impl<'b> Rows<'b> {
    /// Places `new` behind `head`.
    pub(super) fn follow(mut head: Head, new: &[&'b Entry]) -> Self {
        let mut hasher = Hasher::default();
        let mut placed = Vec::with_capacity(new.len());

        for entry in new {
            let position = head.position + 1;
            head = Head {
                position,
                hash: hasher.row(&head.hash, position, entry.cells()),
            };
            placed.push((head, *entry));
        }

        Self { placed, head }
    }

    /// The position of a record that is in the ledger, or one of these rows.
    pub(super) fn position(&self, original: Original) -> i64 {
        match original {
            Original::Kept(position) => position,
            Original::New(index) => self
                .placed
                .get(index)
                .map_or(0, |(place, _)| place.position),
        }
    }
}
