//! The tree of the rows of a walk: compared with the stored nodes, and with the roots that
//! checkpoints sign. Nodes of deleted rows are taken as they are stored; the next root shows whether
//! they are right.

use std::collections::BTreeMap;

use super::{Fault, Verification};
use crate::db::{Connection, DbError};
use crate::ledger::chain::Hash;
use crate::ledger::tree::{
    self, BLOCK_LEVEL, Node, NodeRow, Peaks, WINDOW, is_complete, leaf, width,
};

/// What the tree is made of, in the order of the chain.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The row at a position, and its hash, if that can be read.
    Row(i64, Option<Hash>),
    /// Rows that a cut covers.
    Hole { first: i64, last: i64 },
    /// The root that a checkpoint signs, at the position of the step before.
    Root(i64, Hash),
}

/// Follows a walk.
pub(super) struct TreeWalk {
    peaks: Peaks,
    /// Whether rows are missing, so that no later node can be computed.
    is_lost: bool,
    hole: Option<Hole>,
    /// Position of the last root: all complete nodes up to there must be stored.
    rooted_up_to: i64,
    /// Whether the last root was right; one wrong node makes all later roots wrong.
    fits: bool,
    window: Window,
}

/// Rows without nodes so far. Adjacent holes are one: nodes can cover rows of both.
struct Hole {
    last: i64,
    /// Roots at its end.
    roots: Vec<Hash>,
}

/// The stored nodes of some rows, without those that were taken.
#[derive(Default)]
struct Window {
    to: i64,
    nodes: BTreeMap<(u32, i64), Option<Hash>>,
}

impl TreeWalk {
    pub(super) fn new(rooted_up_to: i64) -> Self {
        Self {
            peaks: Peaks::default(),
            is_lost: false,
            hole: None,
            rooted_up_to,
            fits: true,
            window: Window::default(),
        }
    }

    /// Follows some steps.
    pub(super) fn follow(
        &mut self,
        connection: &mut dyn Connection,
        steps: Vec<Step>,
        result: &mut Verification,
    ) -> Result<(), DbError> {
        for step in steps {
            if self.is_lost {
                return Ok(());
            }

            match step {
                Step::Row(position, hash) => {
                    self.fill(connection, result)?;
                    match hash {
                        Some(hash) if position == self.peaks.size() + 1 => {
                            self.push(connection, (0, leaf(&hash)), result)?;
                        }
                        _ => self.is_lost = true,
                    }
                }
                Step::Hole { first, last } => self.extend_hole(first, last),
                Step::Root(position, root) => match &mut self.hole {
                    Some(hole) => hole.roots.push(root),
                    None => self.compare(position, root, result),
                },
            }
        }
        Ok(())
    }

    /// What is left at the end of the chain.
    pub(super) fn end(
        mut self,
        connection: &mut dyn Connection,
        result: &mut Verification,
    ) -> Result<(), DbError> {
        self.fill(connection, result)?;
        if self.is_lost {
            return Ok(());
        }

        let size = self.peaks.size();
        self.window.report_surplus(size, result);
        for last in tree::strays(connection, size)? {
            result.fault(Fault::Tree {
                first_position: last,
                last_position: last,
            });
        }
        Ok(())
    }

    fn extend_hole(&mut self, first: i64, last: i64) {
        let end = self
            .hole
            .as_ref()
            .map_or(self.peaks.size(), |hole| hole.last);
        self.is_lost |= first != end + 1;
        // A root between two holes cannot be compared: a node may cover rows of both.
        self.hole = Some(Hole {
            last,
            roots: Vec::new(),
        });
    }

    /// Adds the stored nodes of a hole.
    fn fill(
        &mut self,
        connection: &mut dyn Connection,
        result: &mut Verification,
    ) -> Result<(), DbError> {
        let Some(Hole { last, roots }) = self.hole.take() else {
            return Ok(());
        };

        while !self.is_lost && self.peaks.size() < last {
            self.window
                .load(connection, self.peaks.size() + 1, result)?;
            match self.next_in_hole(last) {
                Some(node) => self.push(connection, node, result)?,
                None => self.lose(last, result),
            }
        }

        if !self.is_lost {
            roots
                .into_iter()
                .for_each(|root| self.compare(last, root, result));
        }
        Ok(())
    }

    /// The largest stored node that begins behind the tree and does not go beyond `last`.
    fn next_in_hole(&mut self, last: i64) -> Option<(u32, Hash)> {
        let size = self.peaks.size();
        for level in (0..=BLOCK_LEVEL).rev() {
            let end = size.saturating_add(width(level));
            if self.peaks.takes(level) && end <= last {
                // A damaged one is as good as none.
                if let Some(hash) = self.window.take(level, end) {
                    return hash.map(|hash| (level, hash));
                }
            }
        }
        None
    }

    /// Without a root behind the hole, nothing needs its nodes.
    fn lose(&mut self, last_position: i64, result: &mut Verification) {
        self.is_lost = true;
        if self.rooted_up_to >= last_position {
            result.fault(Fault::Tree {
                first_position: self.peaks.size() + 1,
                last_position,
            });
        }
    }

    /// Adds a node, and compares those that it completes.
    fn push(
        &mut self,
        connection: &mut dyn Connection,
        (level, hash): (u32, Hash),
        result: &mut Verification,
    ) -> Result<(), DbError> {
        let next = self.peaks.size() + 1;
        self.window.load(connection, next, result)?;

        let (window, rooted_up_to) = (&mut self.window, self.rooted_up_to);
        self.peaks.push(level, hash, &mut |join| {
            let Node { level, last, hash } = join.parent;
            if !is_complete(level) {
                return;
            }

            let is_right = match window.take(level, last) {
                Some(stored) => stored == Some(hash),
                None => last > rooted_up_to,
            };
            if !is_right {
                result.fault(Fault::Tree {
                    first_position: join.parent.first(),
                    last_position: last,
                });
            }
        });
        Ok(())
    }

    fn compare(&mut self, position: i64, root: Hash, result: &mut Verification) {
        let fits = self.peaks.root() == Some(root);
        if !fits && self.fits {
            result.fault(Fault::Root { position });
        }
        self.fits = fits;
    }
}

impl Window {
    /// Reads the nodes of the window that `position` is in, once.
    fn load(
        &mut self,
        connection: &mut dyn Connection,
        position: i64,
        result: &mut Verification,
    ) -> Result<(), DbError> {
        if position <= self.to {
            return Ok(());
        }

        self.report_surplus(self.to, result);
        let from = (position - 1) / WINDOW * WINDOW;
        self.to = from.saturating_add(WINDOW);
        let rows = tree::window(connection, from, self.to)?.into_iter();
        let nodes = rows.map(|NodeRow { level, last, hash }| ((level, last), hash));
        self.nodes = nodes.collect();
        Ok(())
    }

    /// Takes out a node, if there is one; its hash is `None` when it is damaged.
    fn take(&mut self, level: u32, last: i64) -> Option<Option<Hash>> {
        self.nodes.remove(&(level, last))
    }

    /// Nodes up to row `size` that nothing has needed.
    fn report_surplus(&self, size: i64, result: &mut Verification) {
        for (level, last_position) in self.nodes.keys().copied() {
            if last_position <= size {
                result.fault(Fault::Tree {
                    first_position: last_position.saturating_sub(width(level) - 1),
                    last_position,
                });
            }
        }
    }
}
