//! The API for reading: records, sessions, usage, streams, checkpoints, conflicts, deletions, and
//! suggestions; and its description.

mod checkpoints;
mod conflicts;
mod export;
mod openapi;
mod paging;
mod parameters;
mod records;
mod retention;
mod search;
mod sessions;
mod streams;
mod timestamp;
mod types;
mod usage;

use axum::Router;
use axum::routing::get;

use crate::http::state::AppState;

/// All routes.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route(records::PATH, get(records::get))
        .route(sessions::PATH, get(sessions::get))
        .route(sessions::ONE, get(sessions::get_one))
        .route(usage::PATH, get(usage::get))
        .route(streams::PATH, get(streams::get))
        .route(checkpoints::PATH, get(checkpoints::get))
        .route(conflicts::PATH, get(conflicts::get))
        .route(retention::PATH, get(retention::get))
        .route(search::PATH, get(search::get))
        .route(openapi::PATH, get(openapi::get))
}
