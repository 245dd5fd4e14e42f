//! The state of a cell, which has the copy of one batch.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BatchCell {
    Empty,
    /// Holds a batch.
    Full {
        /// The lowest number of this stream in it.
        lowest: Option<u64>,
    },
    /// Holds a batch that has ended.
    Spent,
}

impl BatchCell {
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    pub(super) fn lowest(&self) -> Option<u64> {
        match self {
            Self::Full { lowest } => *lowest,
            Self::Empty | Self::Spent => None,
        }
    }
}
