//! Probes of an orchestrator. They need no token, and wait for no question of a reader.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use crate::http::json::Json;
use crate::http::refusal::Refusal;
use crate::http::state::AppState;
use crate::ledger::{AppendError, Ledger};

/// `/healthz` is another name of `/readyz`.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/healthz", get(ready))
}

/// Fails when only a restart helps.
async fn live(State(ledger): State<Arc<Ledger>>) -> Result<Json<Value>, Refusal> {
    if ledger.is_alive() {
        Ok(ok())
    } else {
        Err(AppendError::Closed.into())
    }
}

/// Fails while no batch can be stored or no question answered.
async fn ready(State(ledger): State<Arc<Ledger>>) -> Result<Json<Value>, Refusal> {
    ledger.check().await?;
    Ok(ok())
}

fn ok() -> Json<Value> {
    Json(json!({"status": "ok"}))
}
