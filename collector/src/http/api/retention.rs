//! `GET /api/retention`: which records were deleted, and when.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::paging::{page, with_next};
use super::parameters::{CURSOR, Given, LIMIT, Parameter, Sent};
use super::types::Nanos;
use crate::http::json::Json;
use crate::http::refusal::Refusal;
use crate::ledger::Ledger;
use crate::ledger::cut::{Cut, Hole};
use crate::ledger::list::NoCursor;
use crate::time::Clock;

pub(super) const PATH: &str = "/api/retention";

pub(super) const PARAMETERS: &[Parameter] = &[LIMIT, CURSOR];

/// A page of what retention has deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Retention {
    /// Ranges of deleted records, the latest positions first. Adjacent ranges are one.
    cuts: Vec<CutAnswer>,
    /// For the next page; null when there is none.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A range of records that were deleted; the signed statement about them bridges the hole.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cut)]
pub(super) struct CutAnswer {
    /// Position of the first deleted record.
    first_position: i64,
    /// Position of the last one; all between them were deleted.
    last_position: i64,
    /// How many they are.
    records: i64,
    /// When the last of them was deleted.
    deleted_at_unix_nano: Nanos,
    /// When the latest of them had been received; null when the statement does not have it.
    #[schema(required)]
    received_until_unix_nano: Option<Nanos>,
    /// Id of the key that signed the statement.
    key_id: String,
}

impl From<Hole> for CutAnswer {
    fn from(hole: Hole) -> Self {
        Self {
            first_position: hole.first_position,
            last_position: hole.last_position,
            records: hole.last_position - hole.first_position + 1,
            deleted_at_unix_nano: Nanos(hole.made_at_unix_nano),
            received_until_unix_nano: hole.received_until_unix_nano.map(Nanos),
            key_id: hole.key_id,
        }
    }
}

/// The first position of the last cut of a page.
struct CutCursor(i64);

impl FromStr for CutCursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        text.parse().map(Self).map_err(|_| NoCursor)
    }
}

pub(super) async fn get(
    State(ledger): State<Arc<Ledger>>,
    State(now): State<Clock>,
    sent: Sent,
) -> Result<Json<Retention>, Refusal> {
    let given = Given::read(sent, PARAMETERS, now())?;
    let before: Option<CutCursor> = given.cursor()?;
    let limit = given.limit()?;
    let before = before.map_or(i64::MAX, |CutCursor(position)| position);
    let holes = ledger
        .read(move |connection| Cut::holes(connection, before, with_next(limit)))
        .await?;
    let (holes, next_cursor) = page(holes, limit, |last| last.first_position.to_string());

    Ok(Json(Retention {
        cuts: holes.into_iter().map(CutAnswer::from).collect(),
        next_cursor,
    }))
}
