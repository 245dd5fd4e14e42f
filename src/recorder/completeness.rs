//! How a stream ended, from what Envoy shows at its end.

use std::cell::OnceCell;

use crate::host::{Property, Stream};
use crate::record::Termination;

/// Details of an answer of the upstream's that nothing has happened to. Whatever breaks off an answer writes others
/// over these (Envoy `envoy/stream_info/stream_info.h`, `ResponseCodeDetailValues`).
const VIA_UPSTREAM: &[u8] = b"via_upstream";
/// Details of an answer that a route gives, which is Envoy's own and complete.
const DIRECT_RESPONSE: &[u8] = b"direct_response";
/// Details of a stream that goes on as another one: an internal redirect, and whatever else recreates streams.
const RECREATED: &[u8] = b"internal_redirect";
/// Details of a time limit that sets no flag. Envoy answers where no response has begun, and breaks off one that has.
const TIME_LIMITS: [&[u8]; 3] = [
    b"max_duration_timeout",
    b"request_overall_timeout",
    b"request_header_timeout",
];
/// Details of an answer that is too long for a filter that buffers it; no flag is set.
const TOO_LARGE: &[u8] = b"response_payload_too_large";
/// Start of the details of a connection that Envoy itself has closed; the flag is the client's.
const LOCAL_DISCONNECT: &[u8] = b"downstream_local_disconnect";
/// In the details of a response that the upstream began and did not finish.
const AFTER_START: &[u8] = b"after_response_started";

/// Flags by bit, as in [`super::flags`]: DC, DR.
const CLIENT_LEFT: u64 = 1 << 14 | 1 << 28;
/// The client broke the protocol: DPE.
const CLIENT_ERROR: u64 = 1 << 18;
/// A time limit: UT, SI, UMSDR, DT.
const TIMEOUT: u64 = 1 << 2 | 1 << 16 | 1 << 19 | 1 << 22;
/// The upstream's stream or connection broke: LR, UR, UC, UPE.
const UPSTREAM: u64 = 1 << 3 | 1 << 4 | 1 << 6 | 1 << 23;
/// Envoy is short of memory: OM.
const OVERLOAD: u64 = 1 << 25;

/// What Envoy shows of the end of one stream; each host call is made once, and only when it is needed.
#[derive(Debug, Default)]
pub(super) struct Completeness {
    flags: OnceCell<u64>,
    details: OnceCell<Option<Vec<u8>>>,
}

impl Completeness {
    /// Envoy's response flags: one host call.
    pub(super) fn flags(&self, stream: &dyn Stream) -> u64 {
        *self
            .flags
            .get_or_init(|| stream.number(Property::ResponseFlags).unwrap_or_default())
    }

    /// Why the response is what it is: one host call.
    pub(super) fn details(&self, stream: &dyn Stream) -> Option<&[u8]> {
        self.details
            .get_or_init(|| stream.property(Property::ResponseCodeDetails))
            .as_deref()
    }

    fn is(&self, known: &[u8], stream: &dyn Stream) -> bool {
        self.details(stream) == Some(known)
    }

    /// Whether the answer is the upstream's, as far as the details say: nothing has happened to it.
    pub(super) fn is_via_upstream(&self, stream: &dyn Stream) -> bool {
        self.is(VIA_UPSTREAM, stream)
    }

    /// Whether a route gave the answer. No flag belongs to it.
    pub(super) fn is_direct_response(&self, stream: &dyn Stream) -> bool {
        self.is(DIRECT_RESPONSE, stream)
    }

    /// Whether the stream was recreated, so that its end is not that of the exchange (Envoy
    /// `source/common/http/filter_manager.cc`, `recreateStream`).
    pub(super) fn is_recreated(&self, stream: &dyn Stream) -> bool {
        self.is(RECREATED, stream)
    }

    /// Whether the client broke the protocol.
    pub(super) fn is_client_error(&self, stream: &dyn Stream) -> bool {
        self.flags(stream) & CLIENT_ERROR != 0
    }

    /// Whether Envoy gave up waiting.
    pub(super) fn is_timeout(&self, stream: &dyn Stream) -> bool {
        let details = self.details(stream).unwrap_or_default();
        TIME_LIMITS.contains(&details) || self.flags(stream) & TIMEOUT != 0
    }

    /// How a stream ended whose answer began with this status: one host call for the usual end, two for others.
    ///
    /// An answer of Envoy's own is complete, whatever it was made for. An upstream that begins an error response, and is
    /// then cut off by a limit of Envoy's, looks like Envoy's own error: it counts as complete. So does a
    /// response that a filter resets without details.
    pub(super) fn termination(&self, status: Option<u16>, stream: &dyn Stream) -> Termination {
        let details = self.details(stream).unwrap_or_default();
        if status.is_some() && (details == VIA_UPSTREAM || details == DIRECT_RESPONSE) {
            return Termination::Complete;
        }

        let flags = self.flags(stream);
        let cause = cause(details, flags);
        let is_cut = flags & CLIENT_LEFT != 0 || contains(details, AFTER_START);
        match status {
            None if cause == Termination::Complete => Termination::Proxy,
            Some(status) if !is_cut && (status >= 400 || has_no_body(status)) => {
                Termination::Complete
            }
            _ => cause,
        }
    }
}

/// What broke off the answer, if something did.
fn cause(details: &[u8], flags: u64) -> Termination {
    if flags & CLIENT_ERROR != 0 {
        return Termination::Client;
    }
    if flags & CLIENT_LEFT != 0 {
        let is_local = details.starts_with(LOCAL_DISCONNECT);
        return if is_local {
            Termination::Proxy
        } else {
            Termination::Client
        };
    }
    if flags & TIMEOUT != 0 || TIME_LIMITS.contains(&details) {
        return Termination::Timeout;
    }
    if flags & UPSTREAM != 0 || contains(details, AFTER_START) {
        return Termination::Upstream;
    }
    let is_short = flags & OVERLOAD != 0 || details == TOO_LARGE;
    if is_short {
        Termination::Proxy
    } else {
        Termination::Complete
    }
}

fn contains(details: &[u8], part: &[u8]) -> bool {
    details.windows(part.len()).any(|window| window == part)
}

/// Nothing of such a response can be missing (RFC 9110, sections 15.3.5 and 15.4.5).
fn has_no_body(status: u16) -> bool {
    matches!(status, 204 | 304)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::fake::FakeStream;
    use Termination::{Client, Complete, Proxy, Timeout, Upstream};

    /// Flags, details and status as Envoy 1.40 gives them.
    #[track_caller]
    fn check(flags: i64, details: &str, status: u16, expected: Termination) {
        let stream = FakeStream::default()
            .with_number(Property::ResponseFlags, flags)
            .with_properties(&[(Property::ResponseCodeDetails, details)]);
        let status = Some(status).filter(|status| *status > 0);
        assert_eq!(
            Completeness::default().termination(status, &stream),
            expected,
            "{flags} {details} {status:?}"
        );
    }

    #[test]
    fn flags_and_details_say_how_it_ended() {
        check(0, "via_upstream", 200, Complete);
        check(0, "via_upstream", 503, Complete);
        check(256, "route_not_found", 404, Complete);
        check(0, "direct_response", 302, Complete);
        check(0, "details_of_a_filter", 302, Complete);
        check(16_384, "downstream_remote_disconnect", 200, Client);
        check(16_384, "downstream_remote_disconnect", 204, Client);
        check(16_384, "downstream_remote_disconnect", 0, Client);
        check(16_384, "downstream_local_disconnect(overload)", 200, Proxy);
        check(268_435_456, "http2.remote_reset", 200, Client);
        check(262_144, "http2.violation.of.messaging.rule", 200, Client);
        check(262_144, "http1.headers_too_large", 431, Complete);
        check(
            64,
            "upstream_reset_after_response_started{connection_termination}",
            200,
            Upstream,
        );
        check(
            64,
            "upstream_reset_after_response_started{connection_termination}",
            503,
            Upstream,
        );
        check(
            8_388_608,
            "upstream_reset_after_response_started{protocol_error}",
            200,
            Upstream,
        );
        check(
            64,
            "upstream_reset_before_response_started{connection_termination}",
            503,
            Complete,
        );
        check(
            32 | 32_768,
            "upstream_reset_before_response_started{remote_connection_failure}",
            503,
            Complete,
        );
        check(4, "response_timeout", 504, Complete);
        check(4, "response_timeout", 200, Timeout);
        check(4, "response_timeout", 204, Complete);
        check(65_536, "stream_idle_timeout", 408, Complete);
        check(65_536, "stream_idle_timeout", 200, Timeout);
        check(0, "max_duration_timeout", 200, Timeout);
        check(0, "max_duration_timeout", 408, Complete);
        check(
            524_288,
            "upstream_max_stream_duration_reached",
            200,
            Timeout,
        );
        check(0, "response_payload_too_large", 200, Proxy);
        check(0, "", 0, Proxy);
    }

    #[test]
    fn the_usual_response_costs_one_question() {
        let stream = FakeStream::default()
            .with_properties(&[(Property::ResponseCodeDetails, "via_upstream")]);
        let completeness = Completeness::default();
        assert_eq!(completeness.termination(Some(200), &stream), Complete);
        assert!(completeness.is_via_upstream(&stream));
        assert_eq!(stream.asked.into_inner(), [Property::ResponseCodeDetails]);
    }
}
