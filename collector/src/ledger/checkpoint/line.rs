//! A checkpoint as JSON, for storage elsewhere.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Checkpoint;
use crate::ledger::chain::Head;

/// A checkpoint as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Checkpoint)]
pub struct Line {
    /// Position in the chain.
    pub position: i64,
    /// Hash of that row, 64 hex digits.
    pub hash: String,
    /// Root of the tree of all rows up to there, 64 hex digits; absent where rows were missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// When it was made, in nanoseconds since the Unix epoch, as digits.
    pub made_at_unix_nano: String,
    /// Id of the signing key.
    pub key_id: String,
    /// Ed25519, 128 hex digits.
    pub signature: String,
}

impl From<&Checkpoint> for Line {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            position: checkpoint.head.position,
            hash: hex::encode(checkpoint.head.hash),
            root: checkpoint.root.map(hex::encode),
            made_at_unix_nano: checkpoint.made_at.to_string(),
            key_id: checkpoint.key_id.clone(),
            signature: hex::encode(&checkpoint.signature),
        }
    }
}

/// A field of the line does not hold the digits that it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint")]
pub struct NoCheckpoint;

impl TryFrom<Line> for Checkpoint {
    type Error = NoCheckpoint;

    fn try_from(line: Line) -> Result<Self, NoCheckpoint> {
        let bytes = |digits: &str| hex::decode(digits).map_err(|_| NoCheckpoint);
        let hash = |digits: &str| bytes(digits)?.try_into().map_err(|_| NoCheckpoint);

        Ok(Self {
            head: Head {
                position: line.position,
                hash: hash(&line.hash)?,
            },
            root: line.root.as_deref().map(hash).transpose()?,
            made_at: line.made_at_unix_nano.parse().map_err(|_| NoCheckpoint)?,
            signature: bytes(&line.signature)?,
            key_id: line.key_id,
        })
    }
}
