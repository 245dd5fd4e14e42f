//! The routes.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};

use super::{api, ingest, page, probes};
use crate::http::auth;
use crate::http::metrics;
use crate::http::refusal::{Reason, Refusal};
use crate::http::refusal_log::note_refusals;
use crate::http::state::AppState;

/// Builds the router of the collector.
pub fn app(state: AppState) -> Router {
    Router::new()
        .merge(for_readers(&state))
        .route("/v1/logs", post(ingest::post_logs))
        .merge(probes::routes())
        .route("/metrics", get(metrics::show))
        .method_not_allowed_fallback(async || {
            Refusal::new(Reason::MethodNotAllowed, "the path has no such method")
        })
        .layer(from_fn_with_state(state.clone(), note_refusals))
        .layer(compression())
        .with_state(state)
}

/// An export is compressed on a thread of the runtime, which has other requests. Parquet is
/// compressed already.
fn compression() -> CompressionLayer<impl Predicate> {
    let parquet = NotForContentType::const_new("application/vnd.apache.parquet");
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(DefaultPredicate::new().and(parquet))
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
