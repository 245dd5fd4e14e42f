//! Answers other than success: an HTTP status with an OTLP `Status` body.

use crate::http::json::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prost::Message as _;
use serde::Serialize;
use tracing::debug;
use utoipa::ToSchema;

use crate::db::DbError;
use crate::ledger::AppendError;
use crate::otlp::DecodeError;

mod reason;

pub(crate) use reason::Reason;

/// Seconds that a client should wait after 429 and 503; requests and locks take far less time than
/// this.
const RETRY_AFTER_SECONDS: &str = "1";

/// Media type of protobuf, of requests and of answers to them.
pub(crate) const PROTOBUF: &str = "application/x-protobuf";

/// A request that was not served, with the one sentence that the client gets.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    reason: Reason,
    message: String,
    /// For the log only.
    detail: Option<String>,
    /// How the client can authenticate; for [`Reason::Unauthenticated`].
    challenge: Option<&'static str>,
}

/// Why a request was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Error {
    /// A number of `google.rpc.Code`.
    code: i32,
    /// One sentence.
    message: String,
}

/// `google.rpc.Status`, without its details.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

impl Refusal {
    /// A refusal for this reason.
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            detail: None,
            challenge: None,
        }
    }

    /// The request is wrong and will stay wrong: 400.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Reason::Invalid, message)
    }

    /// The client has not authenticated: 401, with a `www-authenticate` header that names the
    /// method.
    pub(crate) fn unauthenticated(challenge: &'static str, message: impl Into<String>) -> Self {
        Self {
            challenge: Some(challenge),
            ..Self::new(Reason::Unauthenticated, message)
        }
    }

    /// There is no such thing: 404.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Reason::NotFound, message)
    }

    /// Stored records contradict the request, which was not stored: 409.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(Reason::Conflict, message)
    }

    /// The body is larger than allowed: 413.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(Reason::TooLarge, message)
    }

    /// The content type or encoding of the body is not supported: 415.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Reason::Unsupported, message)
    }

    /// The store cannot take or give records now; the same request may succeed later: 503.
    ///
    /// `detail` is for the log only.
    pub(crate) fn unavailable(
        reason: Reason,
        message: impl Into<String>,
        detail: impl ToString,
    ) -> Self {
        Self {
            detail: Some(detail.to_string()),
            ..Self::new(reason, message)
        }
    }

    /// Why the request was refused.
    pub(crate) fn reason(&self) -> Reason {
        self.reason
    }

    /// For the log only.
    pub(crate) fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The answer with a protobuf body, for a request with one.
    pub(crate) fn into_protobuf_response(self) -> Response {
        let body = Status {
            code: self.reason.code(),
            message: self.message.clone(),
        }
        .encode_to_vec();
        self.respond(([(header::CONTENT_TYPE, PROTOBUF)], body))
    }

    /// The refusal itself stays with the response, so that it is counted and logged in one place.
    fn respond(self, body: impl IntoResponse) -> Response {
        let status = self.reason.status();
        debug!(status = status.as_u16(), "request refused");

        let mut response = (status, body).into_response();
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            response.headers_mut().insert(
                header::RETRY_AFTER,
                HeaderValue::from_static(RETRY_AFTER_SECONDS),
            );
        }

        if let Some(challenge) = self.challenge {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }

        response.extensions_mut().insert(self);
        response
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
        match error {
            DbError::Busy(detail) => {
                Self::unavailable(Reason::StoreBusy, "the store is busy", detail)
            }
            DbError::Late(limit) => Self::new(
                Reason::Deadline,
                format!(
                    "the question took longer than {}; a time or another filter makes it shorter",
                    humantime::format_duration(*limit)
                ),
            ),
            DbError::Failed(detail) => {
                Self::unavailable(Reason::StoreFailed, "the store is not available", detail)
            }
        }
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Full => Self::unavailable(
                Reason::StoreBusy,
                "too many batches wait for the store",
                error,
            ),
            AppendError::Closed => {
                Self::unavailable(Reason::StoreFailed, "the store is not available", error)
            }
            AppendError::Database(error) => Self::from(&*error),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(Error {
            code: self.reason.code(),
            message: self.message.clone(),
        });
        self.respond(body)
    }
}
