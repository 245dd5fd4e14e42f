//! The reasons of refusals: status and code for the client, and the label of a count for the
//! operator.

use axum::http::StatusCode;

/// Why a request was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// Wrong, and will stay wrong.
    Invalid,
    /// No token, or the wrong one.
    Unauthenticated,
    /// No such path or thing.
    NotFound,
    /// No such method on this path.
    MethodNotAllowed,
    /// The body did not arrive in time.
    Timeout,
    /// Stored records contradict the request.
    Conflict,
    /// Larger than allowed.
    TooLarge,
    /// A content type or encoding that is not supported.
    Unsupported,
    /// Too many requests at once.
    TooManyRequests,
    /// The requests at once are too large together.
    NoMemory,
    /// Another writer held the database for too long.
    StoreBusy,
    /// A question took too long.
    Deadline,
    /// The database cannot be used.
    StoreFailed,
    /// A fault of the collector itself.
    Internal,
}

impl Reason {
    /// All of them.
    pub(crate) const ALL: [Self; 14] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::Conflict,
        Self::TooLarge,
        Self::Unsupported,
        Self::TooManyRequests,
        Self::NoMemory,
        Self::StoreBusy,
        Self::Deadline,
        Self::StoreFailed,
        Self::Internal,
    ];

    /// Its name in metrics and logs.
    pub(crate) fn label(self) -> &'static str {
        self.facts().0
    }

    /// The HTTP status of the answer.
    pub(crate) fn status(self) -> StatusCode {
        self.facts().1
    }

    /// The `google.rpc.Code` of the answer.
    pub(crate) fn code(self) -> i32 {
        self.facts().2
    }

    fn facts(self) -> (&'static str, StatusCode, i32) {
        match self {
            Self::Invalid => ("invalid", StatusCode::BAD_REQUEST, 3),
            Self::Unauthenticated => ("unauthenticated", StatusCode::UNAUTHORIZED, 16),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND, 5),
            Self::MethodNotAllowed => ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, 12),
            Self::Timeout => ("timeout", StatusCode::REQUEST_TIMEOUT, 4),
            Self::Conflict => ("conflict", StatusCode::CONFLICT, 6),
            Self::TooLarge => ("too_large", StatusCode::PAYLOAD_TOO_LARGE, 8),
            Self::Unsupported => ("unsupported", StatusCode::UNSUPPORTED_MEDIA_TYPE, 3),
            Self::TooManyRequests => ("too_many_requests", StatusCode::TOO_MANY_REQUESTS, 8),
            Self::NoMemory => ("no_memory", StatusCode::SERVICE_UNAVAILABLE, 14),
            Self::StoreBusy => ("store_busy", StatusCode::SERVICE_UNAVAILABLE, 14),
            Self::Deadline => ("deadline", StatusCode::GATEWAY_TIMEOUT, 4),
            Self::StoreFailed => ("store_failed", StatusCode::SERVICE_UNAVAILABLE, 14),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, 13),
        }
    }
}
