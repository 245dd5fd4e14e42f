//! The hashes that lead from one row to the root: the audit path of RFC 9162, section 2.1.3.

use super::feed::{FeedError, Observer, pieces};
use super::nodes::extended;
use super::peaks::bag;
use super::{Join, Peaks, join};
use crate::db::Connection;
use crate::ledger::chain::Hash;

/// Why a path cannot be made.
pub(in crate::ledger) type PathError = FeedError;

/// The path of the row at `position` in a tree of `size` rows, from the row to the root.
///
/// # Errors
///
/// When rows are missing that no node covers.
pub(in crate::ledger) fn path(
    connection: &mut dyn Connection,
    position: i64,
    size: i64,
) -> Result<Vec<Hash>, PathError> {
    let mut peaks = Peaks::default();
    let mut siblings = Siblings {
        position,
        path: Vec::new(),
    };

    for piece in pieces(size, extended(connection)?, Some(position)) {
        piece.feed(connection, &mut peaks, &mut siblings)?;
    }
    Ok(siblings.into_path(&peaks))
}

/// Collects the siblings of the nodes that cover a row.
struct Siblings {
    position: i64,
    path: Vec<Hash>,
}

impl Observer for Siblings {
    fn joined(&mut self, Join { left, right, .. }: &Join) {
        if left.covers(self.position) {
            self.path.push(right.hash);
        } else if right.covers(self.position) {
            self.path.push(left.hash);
        }
    }
}

impl Siblings {
    /// The path: within the peak that covers the row, then what is right of that peak, then the
    /// peaks left of it.
    fn into_path(self, peaks: &Peaks) -> Vec<Hash> {
        let mut path = self.path;
        let nodes = peaks.nodes();
        let (left, rest) = nodes.split_at(nodes.partition_point(|node| node.last < self.position));

        path.extend(rest.get(1..).and_then(bag));
        path.extend(left.iter().rev().map(|node| node.hash));
        path
    }
}

/// The root to which `path` leads from the leaf of the row at `position` in a tree of `size` rows, by
/// section 2.1.3.2; `None` when the path is too short or too long, or there is no such row.
pub fn root_of_path(position: i64, size: i64, leaf: Hash, path: &[Hash]) -> Option<Hash> {
    if !(1..=size).contains(&position) {
        return None;
    }

    let (mut index, mut last, mut hash) = (position - 1, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if index & 1 == 1 || index == last {
            hash = join(sibling, &hash);
            // Levels at which the node has no sibling. The index is not 0: it is odd, or the last.
            let skipped = index.trailing_zeros();
            index >>= skipped;
            last >>= skipped;
        } else {
            hash = join(&hash, sibling);
        }
        index >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::ledger::tree::leaf;

    fn leaves(size: i64) -> Vec<Hash> {
        let row = |number: i64| Sha256::digest(number.to_be_bytes()).into();
        (1..=size).map(|number| leaf(&row(number))).collect()
    }

    /// The root of the tree of these leaves, and the path of each of them.
    fn tree(leaves: &[Hash]) -> (Hash, Vec<Vec<Hash>>) {
        let mut peaks = Peaks::default();
        let mut all: Vec<_> = (1..)
            .zip(leaves)
            .map(|(position, _)| Siblings {
                position,
                path: Vec::new(),
            })
            .collect();

        for leaf in leaves {
            peaks.push(0, *leaf, &mut |join| {
                all.iter_mut().for_each(|siblings| siblings.joined(join));
            });
        }
        let paths = all.into_iter().map(|siblings| siblings.into_path(&peaks));
        (peaks.root().unwrap(), paths.collect())
    }

    #[test]
    fn every_path_of_every_size_leads_to_the_root() {
        let all = leaves(300);
        for size in 1..=300 {
            let leaves = &all[..usize::try_from(size).unwrap()];
            let (root, paths) = tree(leaves);
            for ((position, leaf), path) in (1..).zip(leaves).zip(paths) {
                assert!(path.len() <= 9, "{size} {position}");
                let found = root_of_path(position, size, *leaf, &path);
                assert_eq!(found, Some(root), "{size} {position}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_changed_bit_anywhere_leads_elsewhere(
            size in 1..=300_i64, place: prop::sample::Index, at: prop::sample::Index, bit in 0..8_u32
        ) {
            let all = leaves(size);
            let index = place.index(all.len());
            let position = i64::try_from(index).unwrap() + 1;
            let (root, mut paths) = tree(&all);
            let path = paths.swap_remove(index);

            let mut bytes: Vec<u8> = [&[all[index]][..], &path].concat().concat();
            let changed = at.index(bytes.len());
            bytes[changed] ^= 1 << bit;
            let hashes: Vec<Hash> = bytes.chunks(32).map(|hash| hash.try_into().unwrap()).collect();
            prop_assert_ne!(root_of_path(position, size, hashes[0], &hashes[1..]), Some(root));
        }

        #[test]
        fn another_place_or_another_length_leads_elsewhere(
            size in 2..=300_i64, place: prop::sample::Index, other: prop::sample::Index
        ) {
            let all = leaves(size);
            let index = place.index(all.len());
            let position = i64::try_from(index).unwrap() + 1;
            let (root, mut paths) = tree(&all);
            let path = paths.swap_remove(index);

            let elsewhere = i64::try_from(other.index(all.len())).unwrap() + 1;
            let leads = |position, path: &[Hash]| root_of_path(position, size, all[index], path) == Some(root);
            prop_assert_eq!(leads(elsewhere, &path), elsewhere == position);
            prop_assert!(!leads(0, &path) && !leads(size + 1, &path));
            prop_assert!(!leads(position, &path[1..]));
            prop_assert!(!leads(position, &[&path[..], &[all[index]]].concat()));
        }
    }
}
