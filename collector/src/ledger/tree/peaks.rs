//! The mathematics of the tree: hashes of leaves and nodes, and the roots of its complete subtrees.

use sha2::{Digest as _, Sha256};

use crate::ledger::chain::Hash;

/// Domain separation of RFC 9162: a leaf is never a node.
const LEAF: [u8; 1] = [0];
const NODE: [u8; 1] = [1];

/// The hash of the leaf of a row.
pub fn leaf(row: &Hash) -> Hash {
    let hasher = Sha256::new().chain_update(LEAF).chain_update(row);
    hasher.finalize().into()
}

/// The hash of a node over two others.
pub fn join(left: &Hash, right: &Hash) -> Hash {
    let hasher = Sha256::new().chain_update(NODE).chain_update(left);
    hasher.chain_update(right).finalize().into()
}

/// Rows of a complete subtree at `level`, which is at most 62.
pub(in crate::ledger) const fn width(level: u32) -> i64 {
    1_i64 << level
}

/// The root of a complete subtree: of 2^`level` rows, which end with a multiple of that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// 0 for a leaf.
    pub level: u32,
    /// Position of its last row.
    pub last: i64,
    /// Its hash.
    pub hash: Hash,
}

impl Node {
    /// Position of its first row.
    pub fn first(&self) -> i64 {
        self.last.saturating_sub(width(self.level) - 1)
    }

    /// Whether the row at `position` is one of its rows.
    pub fn covers(&self, position: i64) -> bool {
        (self.first()..=self.last).contains(&position)
    }

    /// Whether it is the right one of the two below its parent.
    fn is_right(&self) -> bool {
        (self.last >> self.level) & 1 == 0
    }
}

/// Two nodes and their parent.
#[derive(Clone, Copy, Debug)]
pub struct Join {
    /// The left node.
    pub left: Node,
    /// The right node.
    pub right: Node,
    /// The parent.
    pub parent: Node,
}

/// The largest complete subtrees of a tree, from left to right: at most one for each level. All that
/// is needed to add more rows, and to compute the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    size: i64,
    nodes: Vec<Node>,
}

impl Peaks {
    /// How many rows the tree has.
    pub fn size(&self) -> i64 {
        self.size
    }

    /// The subtrees, from left to right.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Whether a complete subtree at `level` can be next: the tree then ends where one begins.
    pub fn takes(&self, level: u32) -> bool {
        self.size & (width(level) - 1) == 0
    }

    /// Adds the next complete subtree, which the tree must take, see [`Peaks::takes`]. `joined` is
    /// called for each node that is made of two others, the lowest first.
    pub fn push(&mut self, level: u32, hash: Hash, joined: &mut dyn FnMut(&Join)) {
        self.size += width(level);
        let mut node = Node {
            level,
            last: self.size,
            hash,
        };

        while let Some(left) = self.left_of(&node) {
            let parent = Node {
                level: node.level + 1,
                last: node.last,
                hash: join(&left.hash, &node.hash),
            };
            joined(&Join {
                left,
                right: node,
                parent,
            });
            node = parent;
        }
        self.nodes.push(node);
    }

    /// Takes out the last subtree, if `node` is its sibling.
    fn left_of(&mut self, node: &Node) -> Option<Node> {
        let last = *self.nodes.last()?;
        if !node.is_right() || last.level != node.level {
            return None;
        }
        self.nodes.pop()
    }

    /// The root; `None` for a tree without rows.
    pub fn root(&self) -> Option<Hash> {
        bag(&self.nodes)
    }
}

/// The root over subtrees of which each is larger than the next.
pub(super) fn bag(nodes: &[Node]) -> Option<Hash> {
    let (last, rest) = nodes.split_last()?;
    let over = |right: Hash, left: &Node| join(&left.hash, &right);
    Some(rest.iter().rev().fold(last.hash, over))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MTH of RFC 9162, section 2.1.1, as it is defined there.
    fn root_by_definition(rows: &[Hash]) -> Hash {
        match rows {
            [row] => leaf(row),
            _ => {
                let (left, right) = rows.split_at(rows.len().next_power_of_two() / 2);
                join(&root_by_definition(left), &root_by_definition(right))
            }
        }
    }

    fn rows(number: usize) -> Vec<Hash> {
        (0..number)
            .map(|row| Sha256::digest(row.to_be_bytes()).into())
            .collect()
    }

    #[test]
    fn the_root_is_that_of_the_definition_at_every_size() {
        let rows = rows(300);
        let mut peaks = Peaks::default();
        assert_eq!(peaks.root(), None);
        for size in 1..=rows.len() {
            peaks.push(0, leaf(&rows[size - 1]), &mut |_| {});
            assert_eq!(
                peaks.root(),
                Some(root_by_definition(&rows[..size])),
                "{size}"
            );
        }
    }

    #[test]
    fn whole_subtrees_lead_to_the_same_root() {
        let rows = rows(300);
        let mut peaks = Peaks::default();
        let mut at = 0;
        for level in [7, 7, 5, 2, 3] {
            assert_eq!(peaks.takes(level), at % (1 << level) == 0);
            let level = if peaks.takes(level) { level } else { 0 };
            let part = &rows[at..at + (1 << level)];
            at += part.len();
            peaks.push(level, root_by_definition(part), &mut |_| {});
        }
        assert_eq!(peaks.root(), Some(root_by_definition(&rows[..at])));
    }

    #[test]
    fn the_root_of_known_rows_never_changes() {
        let digest = |parts: &[&[u8]]| -> Hash { Sha256::digest(parts.concat()).into() };
        let [a, b, c] = [[1; 32], [2; 32], [3; 32]];
        let pair = digest(&[&[1], &digest(&[&[0], &a]), &digest(&[&[0], &b])]);
        let root = digest(&[&[1], &pair, &digest(&[&[0], &c])]);

        let mut peaks = Peaks::default();
        for row in [a, b, c] {
            peaks.push(0, leaf(&row), &mut |_| {});
        }
        assert_eq!(peaks.root(), Some(root));
    }
}
