//! What can be wrong with a ledger.

use serde::Serialize;

/// A fault of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The row does not match its hash. It was changed or moved here, or the hash of the row before
    /// it was changed.
    #[error(
        "row {position} ({uid}) does not match its hash: it was changed or moved, or the hash before it was"
    )]
    Row {
        /// Its position.
        position: i64,
        /// Its uid.
        uid: String,
    },
    /// Rows are missing, and no signed cut covers them.
    #[error(
        "rows {first_position} to {last_position} are missing, and no signed cut speaks of them"
    )]
    Missing {
        /// First position.
        first_position: i64,
        /// Last position.
        last_position: i64,
    },
    /// A cut does not match the rows around it, or is damaged.
    #[error("the cut at row {first_position} does not fit the chain")]
    Cut {
        /// First position that it covers.
        first_position: i64,
    },
    /// The ledger does not end at its head.
    #[error(
        "the ledger ends with row {last_position}, but its head is row {head_position} or has another hash"
    )]
    Head {
        /// Position of the head.
        head_position: i64,
        /// Position of the last row.
        last_position: i64,
    },
    /// The hash of a checkpoint differs from that of the row, or its position is beyond the end.
    #[error("the checkpoint at row {position} does not fit the chain")]
    Checkpoint {
        /// Its position.
        position: i64,
    },
    /// The root of a checkpoint is not that of the rows before it: a node of rows that were deleted was
    /// changed, or the checkpoint was. Further ones are faults only after one that fits.
    #[error("the root of the checkpoint at row {position} is not that of the rows")]
    Root {
        /// Its position.
        position: i64,
    },
    /// A node of the tree is missing, is not that of its rows, or is none that a collector keeps.
    #[error(
        "the tree is damaged: the node of rows {first_position} to {last_position} is missing, wrong or surplus"
    )]
    Tree {
        /// First row that it covers.
        first_position: i64,
        /// Last row that it covers.
        last_position: i64,
    },
    /// A checkpoint or a cut is not signed by a trusted key.
    #[error(
        "the checkpoint or cut at row {position} is not signed by a trusted key (it names key {key_id})"
    )]
    Signature {
        /// Position of the checkpoint, or first position of the cut.
        position: i64,
        /// Id of the key that it claims.
        key_id: String,
    },
    /// The file is damaged: a page, an index or a row cannot be as SQLite left it.
    #[error("the file is damaged: {message}")]
    File {
        /// What SQLite found.
        message: String,
    },
    /// The views claim rows that the ledger does not have: rows were taken away, or the views are
    /// those of another ledger.
    #[error(
        "the views are made up to row {views_position}, but the head of the ledger is row {head_position}"
    )]
    Views {
        /// Position up to which the views are made.
        views_position: i64,
        /// Position of the head.
        head_position: i64,
    },
    /// A number of a stream that another record has already. No filter gives a number out twice: a
    /// copied VM or a forged record does.
    #[error("row {position}: another record has number {number} of stream {stream_id} already")]
    Number {
        /// Position of the later record.
        position: i64,
        /// The stream.
        stream_id: String,
        /// The number.
        number: i64,
    },
}
