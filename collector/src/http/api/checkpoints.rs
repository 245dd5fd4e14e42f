//! `GET /api/checkpoints`: the signed heads of the chain, for storage elsewhere.

use std::sync::Arc;

use crate::http::json::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::parameters::{Given, Kind, Parameter, Sent};
use crate::db::DbError;
use crate::http::refusal::Refusal;
use crate::ledger::Ledger;
use crate::ledger::checkpoint::{Checkpoint, Line};
use crate::time::Clock;

pub(super) const PATH: &str = "/api/checkpoints";

/// Checkpoints of a page.
const LATEST: i64 = 100;

pub(super) const PARAMETERS: &[Parameter] = &[Parameter {
    name: "format",
    kind: Kind::Choice(&["json", "ndjson"]),
    description: "`json`: the latest 100, newest first. `ndjson`: all of them, oldest first.",
}];

/// The latest checkpoints.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Checkpoints {
    /// Ed25519, 64 hex digits: the key with which the collector signs now.
    #[schema(required)]
    public_key: Option<String>,
    /// Newest first.
    checkpoints: Vec<Line>,
}

pub(super) async fn get(
    State(ledger): State<Arc<Ledger>>,
    State(now): State<Clock>,
    sent: Sent,
) -> Result<Response, Refusal> {
    let given = Given::read(sent, PARAMETERS, now())?;
    if given
        .choice("format", &[("json", false), ("ndjson", true)])?
        .unwrap_or_default()
    {
        return export(&ledger).await;
    }

    let latest = ledger
        .read(|connection| Checkpoint::latest(connection, LATEST))
        .await?;
    let public_key = Some(ledger.settings().key.public().to_hex());

    Ok(Json(Checkpoints {
        public_key,
        checkpoints: latest.iter().map(Line::from).collect(),
    })
    .into_response())
}

/// One object per line, as `audit-collector checkpoints` prints them. There is about one per
/// minute, so that all of them fit into one answer.
async fn export(ledger: &Ledger) -> Result<Response, Refusal> {
    let all = ledger
        .read(|connection| Checkpoint::list(connection, 0, i64::MAX))
        .await?;

    let mut lines = Vec::new();
    for checkpoint in &all {
        serde_json::to_writer(&mut lines, &Line::from(checkpoint)).map_err(DbError::failed)?;
        lines.push(b'\n');
    }

    let disposition = "attachment; filename=\"checkpoints.ndjson\"";
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, lines).into_response())
}
