//! The answer at the end of a stream: what was kept of it, and what it then shows.

use super::headers::Headers;
use super::rpc::{Found, Status, StatusSource, Wire};
use crate::host::Stream;

/// What is at hand of the answer at the end.
pub(super) struct Answer<'a> {
    pub(super) headers: &'a Headers<'a>,
    pub(super) content_type: &'a [u8],
    /// The headers were seen on their way.
    pub(super) was_seen: bool,
    /// All of it has come as far as this filter.
    pub(super) is_whole: bool,
    /// The status was in the body.
    pub(super) has_body_end: bool,
    /// The upstream has answered in gRPC.
    pub(super) is_grpc: bool,
    /// The status of a call, where it was found on the way.
    pub(super) status: Option<Found>,
    /// It was found there. What is found later, a filter nearer the client may have written.
    pub(super) has_seen_status: bool,
}

/// The status among the headers of a response: three digits (RFC 9110 section 15).
pub(super) fn http_status(headers: &Headers<'_>) -> Option<u16> {
    let digits: &[u8; 3] = headers.first(":status")?.try_into().ok()?;
    let mut status = 0;
    for digit in digits {
        status = status * 10 + u16::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    Some(status)
}

/// Looks for the status of a call where it is at the end of the stream: in the trailers of an answer that a filter has
/// turned into one of gRPC, or among the headers that go to the client.
pub(super) fn status_at_the_end(answer: &Answer<'_>, stream: &dyn Stream) -> Option<Found> {
    let in_trailers = || {
        let status = Status::parse(&stream.response_trailer("grpc-status")?);
        let message = stream.response_trailer("grpc-message").unwrap_or_default();
        Some(Found::new(status, StatusSource::Trailers, &message))
    };
    let in_headers = || Found::in_map(answer.headers, StatusSource::Headers);
    let is_grpc = Wire::of_content_type(answer.content_type).is_some_and(Wire::is_grpc);
    is_grpc.then(in_trailers).flatten().or_else(in_headers)
}

/// Whether a call has come to its end with trailers, which Envoy's own answers never have. Its details are not looked at:
/// that the client leaves between the trailers and their delivery goes unnoticed, for a host call less.
pub(super) fn is_whole_call(answer: &Answer<'_>, found: Option<&Found>) -> bool {
    answer.is_whole && found.is_some_and(|found| found.source == StatusSource::Trailers)
}
