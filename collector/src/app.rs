//! The routes and what their handlers share.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::ledger::Ledger;
use crate::refusal::Refusal;
use crate::{ingest, query};

/// What every request handler needs.
#[derive(Clone)]
pub struct AppState {
    /// Where records are kept.
    pub ledger: Arc<Ledger>,
    /// Most bytes of a request body, as sent and after decompression; more is answered with 413.
    pub max_body_bytes: usize,
    /// Reads the time of receipt, in nanoseconds since the Unix epoch.
    pub now_unix_nano: fn() -> i64,
}

/// Builds the router of the collector.
pub fn app(state: AppState) -> Router {
    Router::new()
        .route("/v1/logs", post(ingest::post_logs))
        .route("/api/records", get(query::list_records))
        .route("/healthz", get(healthz))
        .with_state(state)
}

async fn healthz(State(state): State<AppState>) -> Result<Json<Value>, Refusal> {
    state.ledger.check().await?;
    Ok(Json(json!({"status": "ok"})))
}
