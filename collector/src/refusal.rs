//! Answers other than success: an HTTP status with an OTLP `Status` body.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tracing::{debug, warn};

use crate::db::DbError;
use crate::ledger::AppendError;
use crate::otlp::DecodeError;

/// Codes of `google.rpc.Code` that the collector answers with.
const INVALID_ARGUMENT: i32 = 3;
const ALREADY_EXISTS: i32 = 6;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNAVAILABLE: i32 = 14;

/// Seconds a client should wait after 503; the write lock is held for far less than this.
const RETRY_AFTER_SECONDS: &str = "1";

/// A request that was not served, with the one sentence that the client gets.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: i32,
    message: String,
}

impl Refusal {
    /// The request is wrong and will stay wrong: 400.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, INVALID_ARGUMENT, message)
    }

    /// The body is larger than allowed: 413.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, RESOURCE_EXHAUSTED, message)
    }

    /// A record contradicts a kept one: 409.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, ALREADY_EXISTS, message)
    }

    /// The body is of a kind that the collector does not read: 415.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID_ARGUMENT, message)
    }

    /// The store cannot take or give records now, the same request may succeed later: 503.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, message)
    }

    fn new(status: StatusCode, code: i32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Invalid(message) => Self::invalid(message),
            DecodeError::TooLarge(message) => Self::too_large(message),
        }
    }
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Self {
        Self::from(&error)
    }
}

impl From<&DbError> for Refusal {
    /// The text of the database goes to the log only.
    fn from(error: &DbError) -> Self {
        warn!("{error}");
        match error {
            DbError::Busy(_) => Self::unavailable("the store is busy"),
            DbError::Failed(_) => Self::unavailable("the store is not available"),
        }
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Full => Self::unavailable("too many batches wait for the store"),
            AppendError::Closed => Self::unavailable("the store is not available"),
            AppendError::Database(error) => Self::from(&*error),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        debug!(status = self.status.as_u16(), "request refused");
        let body = Json(json!({"code": self.code, "message": self.message}));
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
