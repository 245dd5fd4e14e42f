//! Answers in JSON.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A value as the body of an answer.
///
/// In place of axum's type, whose feature switches on `raw_value` of `serde_json`: one key of an
/// object then has a meaning of its own in every value that the collector reads.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let content_type = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([content_type], body).into_response(),
            // No type of an answer has a key that is no string, or fails by itself.
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}
