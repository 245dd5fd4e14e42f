//! How an exchange ended, from what the response told and whether it was complete.

use super::grpc::{Status, StatusSource};
use crate::record::Outcome;

/// HTTP: a response that is missing or broken off is an aborted exchange, whatever its status said.
#[must_use]
pub fn of_http(status: Option<u16>, complete: bool) -> Outcome {
    match status {
        Some(status) if complete => match status {
            401 | 403 | 407 => Outcome::Denied,
            400.. => Outcome::Failure,
            _ => Outcome::Success,
        },
        _ => Outcome::Aborted,
    }
}

/// gRPC: the status decides; a stream that was reset without one is aborted.
#[must_use]
pub fn of_grpc(status: Status, source: StatusSource) -> Outcome {
    match status {
        _ if source == StatusSource::Reset => Outcome::Aborted,
        Status::OK => Outcome::Success,
        Status::PERMISSION_DENIED | Status::UNAUTHENTICATED => Outcome::Denied,
        _ => Outcome::Failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http() {
        for (status, complete, expected) in [
            (Some(200), true, Outcome::Success),
            (Some(101), true, Outcome::Success),
            (Some(302), true, Outcome::Success),
            (Some(399), true, Outcome::Success),
            (Some(400), true, Outcome::Failure),
            (Some(401), true, Outcome::Denied),
            (Some(403), true, Outcome::Denied),
            (Some(404), true, Outcome::Failure),
            (Some(407), true, Outcome::Denied),
            (Some(503), true, Outcome::Failure),
            (Some(200), false, Outcome::Aborted),
            (None, true, Outcome::Aborted),
            (None, false, Outcome::Aborted),
        ] {
            assert_eq!(of_http(status, complete), expected, "{status:?} {complete}");
        }
    }

    #[test]
    fn grpc() {
        for (value, source, expected) in [
            ("0", StatusSource::Trailers, Outcome::Success),
            ("7", StatusSource::Trailers, Outcome::Denied),
            ("16", StatusSource::Headers, Outcome::Denied),
            ("14", StatusSource::Headers, Outcome::Failure),
            ("17", StatusSource::Trailers, Outcome::Failure),
            ("x", StatusSource::Trailers, Outcome::Failure),
            ("", StatusSource::Reset, Outcome::Aborted),
        ] {
            assert_eq!(of_grpc(Status::parse(value.as_bytes()), source), expected, "{value}");
        }
    }
}
