//! What can be wrong with a ledger.

use serde::Serialize;

/// A fault of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The row does not match its hash. It was changed or moved here, or the hash of the row before
    /// it was changed.
    Row {
        /// Its position.
        position: i64,
        /// Its uid.
        uid: String,
    },
    /// Rows are missing, and no signed cut covers them.
    Missing {
        /// First position.
        first_position: i64,
        /// Last position.
        last_position: i64,
    },
    /// A cut does not match the rows around it, or is damaged.
    Cut {
        /// First position that it covers.
        first_position: i64,
    },
    /// The ledger does not end at its head.
    Head {
        /// Position of the head.
        head_position: i64,
        /// Position of the last row.
        last_position: i64,
    },
    /// The hash of a checkpoint differs from that of the row, or its position is beyond the end.
    Checkpoint {
        /// Its position.
        position: i64,
    },
    /// A checkpoint or a cut is not signed by a trusted key.
    Signature {
        /// Position of the checkpoint, or first position of the cut.
        position: i64,
        /// Id of the key that it claims.
        key_id: String,
    },
    /// The file is damaged: a page, an index or a row cannot be as SQLite left it.
    File {
        /// What SQLite found.
        message: String,
    },
    /// The views claim rows that the ledger does not have: rows were taken away, or the views are
    /// those of another ledger.
    Views {
        /// Position up to which the views are made.
        views_position: i64,
        /// Position of the head.
        head_position: i64,
    },
    /// A number of a stream that another record has already. No filter gives a number out twice: a
    /// copied VM or a forged record does.
    Number {
        /// Position of the later record.
        position: i64,
        /// The stream.
        stream_id: String,
        /// The number.
        number: i64,
    },
}
