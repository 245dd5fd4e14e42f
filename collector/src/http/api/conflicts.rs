//! `GET /api/conflicts`: contents that contradict a stored record.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::parameters::{CURSOR, Given, Kind, LIMIT, Parameter, Sent};
use super::types::{FlatRecord, Nanos};
use crate::http::json::Json;
use crate::http::refusal::Refusal;
use crate::ledger::Ledger;
use crate::ledger::conflicts::{ConflictCursor, ConflictEntry, page};
use crate::time::Clock;

pub(super) const PATH: &str = "/api/conflicts";

pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "position",
        kind: Kind::Number(1, i64::MAX),
        description: "Only those of the stored record at this position.",
    },
    LIMIT,
    CURSOR,
];

/// A page of conflicts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Conflicts {
    /// Those with the latest stored records first.
    conflicts: Vec<ConflictAnswer>,
    /// For the next page; null when there is none.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A content that came with the uid of a stored record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Conflict)]
pub(super) struct ConflictAnswer {
    /// `log.record.uid` of both.
    record_uid: String,
    /// Position of the stored record.
    position: i64,
    /// When this content first came.
    received_at_unix_nano: Nanos,
    /// SHA-256 of this content, in hex.
    digest: String,
    /// What was sent, as a listed record without its place in the ledger.
    #[schema(value_type = Object)]
    sent: serde_json::Map<String, serde_json::Value>,
    /// The stored record; null when it is missing.
    #[schema(required)]
    stored: Option<FlatRecord>,
}

impl From<ConflictEntry> for ConflictAnswer {
    fn from(conflict: ConflictEntry) -> Self {
        Self {
            record_uid: conflict.uid,
            position: conflict.position,
            received_at_unix_nano: Nanos(conflict.received_at),
            digest: conflict.digest,
            sent: conflict.content,
            stored: conflict.stored.as_ref().map(FlatRecord::from),
        }
    }
}

pub(super) async fn get(
    State(ledger): State<Arc<Ledger>>,
    State(now): State<Clock>,
    sent: Sent,
) -> Result<Json<Conflicts>, Refusal> {
    let given = Given::read(sent, PARAMETERS, now())?;
    let position = given.number("position", 1, i64::MAX)?;
    let before: Option<ConflictCursor> = given.cursor()?;
    let limit = given.limit()?;

    let found = ledger
        .read(move |connection| page(connection, position, before.as_ref(), limit))
        .await?;
    let last = found.conflicts.last().filter(|_| found.more);
    let next_cursor = last.map(|last| last.cursor().to_string());

    Ok(Json(Conflicts {
        conflicts: found
            .conflicts
            .into_iter()
            .map(ConflictAnswer::from)
            .collect(),
        next_cursor,
    }))
}
