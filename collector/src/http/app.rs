//! The routes and what their handlers share.

use std::sync::Arc;

use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{api, ingest, page};
use crate::http::admission::Admission;
use crate::http::auth::{self, Access};
use crate::http::metrics::{self, Metrics};
use crate::http::refusal::{Reason, Refusal};
use crate::ledger::Ledger;
use crate::logs::{self, RefusalLog};
use crate::time::Clock;
use crate::views;

/// State that all request handlers share.
#[derive(Clone)]
pub struct AppState {
    /// The ledger of all records.
    pub ledger: Arc<Ledger>,
    /// Settings for reading its views.
    pub views: Arc<views::Settings>,
    /// Limits of all requests together.
    pub admission: Admission,
    /// Tokens for writing and for reading. A new value applies from the next request on.
    pub access: watch::Receiver<Access>,
    /// Counts for `/metrics`.
    pub metrics: Metrics,
    /// When refusals were last logged.
    pub refusals: Arc<RefusalLog>,
    /// Reads the time of receipt, in nanoseconds since the Unix epoch.
    pub now_unix_nano: Clock,
}

/// Builds the router of the collector.
pub fn app(state: AppState) -> Router {
    Router::new()
        .merge(for_readers(&state))
        .route("/v1/logs", post(ingest::post_logs))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics::show))
        .method_not_allowed_fallback(async || {
            Refusal::new(Reason::MethodNotAllowed, "the path has no such method")
        })
        .layer(from_fn_with_state(state.clone(), logs::note_refusals))
        .with_state(state)
}

/// Routes that require the token of readers, if there is one. Unknown paths do too, so that other
/// clients cannot learn which paths exist.
fn for_readers(state: &AppState) -> Router<AppState> {
    Router::new()
        .merge(api::routes())
        .merge(page::router())
        .fallback(async || Refusal::not_found("there is no such path"))
        .layer(from_fn_with_state(state.clone(), auth::require_read))
}

async fn healthz(State(state): State<AppState>) -> Result<Json<Value>, Refusal> {
    state.ledger.check().await?;
    Ok(Json(json!({"status": "ok"})))
}
