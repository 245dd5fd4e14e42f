//! Whether a response was sent whole. Envoy tells at the end of the stream, so that no callback has to follow the response.

use std::cell::OnceCell;

use crate::host::{Property, Stream};

/// Details of a response that nothing has happened to (Envoy `envoy/stream_info/stream_info.h`,
/// `ResponseCodeDetailValues`): whatever breaks off a response writes others over them.
const UNDISTURBED: [&[u8]; 2] = [b"via_upstream", b"direct_response"];
/// Details of a limit of Envoy's, which answers where no response has begun, and breaks off one that has; no flag is set.
const LIMITS: [&[u8]; 4] =
    [b"max_duration_timeout", b"request_overall_timeout", b"request_header_timeout", b"response_payload_too_large"];
/// In the details of a response that the upstream began and did not finish.
const AFTER_START: &[u8] = b"after_response_started";
/// Flags by bit, as in [`super::flags`]. The client has gone while the response was on its way: DC, DR.
const CLIENT_GONE: u64 = 1 << 14 | 1 << 28;
/// Something broke: UT, LR, UR, UC, SI, DPE, UMSDR, DT, UPE, OM. Envoy answers where no response has begun, and breaks off
/// one that has.
const BROKEN: u64 = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 16 | 1 << 18 | 1 << 19 | 1 << 22 | 1 << 23 | 1 << 25;

/// What Envoy tells of the end of one stream; asked for once, and only when somebody wants to know.
#[derive(Debug, Default)]
pub(super) struct Wholeness {
    flags: OnceCell<u64>,
    details: OnceCell<Option<Vec<u8>>>,
}

impl Wholeness {
    /// Envoy's response flags: one host call.
    pub(super) fn flags(&self, stream: &dyn Stream) -> u64 {
        *self.flags.get_or_init(|| stream.number(Property::ResponseFlags).unwrap_or_default())
    }

    /// Why the response is what it is: one host call.
    pub(super) fn details(&self, stream: &dyn Stream) -> Option<&[u8]> {
        self.details.get_or_init(|| stream.property(Property::ResponseCodeDetails)).as_deref()
    }

    /// Whether a response that began with this status came to its end: one host call for one that did, two for others.
    ///
    /// An upstream that begins a response with an error status, and is then cut off by one of Envoy's limits, cannot be
    /// told from Envoy's own error: it counts as whole. So does a response that a filter resets without a word.
    pub(super) fn is_whole(&self, status: u16, stream: &dyn Stream) -> bool {
        let details = self.details(stream).unwrap_or_default();
        UNDISTURBED.contains(&details) || self.is_whole_all_the_same(status, details, stream)
    }

    fn is_whole_all_the_same(&self, status: u16, details: &[u8], stream: &dyn Stream) -> bool {
        let flags = self.flags(stream);
        let is_cut = flags & CLIENT_GONE != 0 || details.windows(AFTER_START.len()).any(|part| part == AFTER_START);
        let may_be_cut = flags & BROKEN != 0 || LIMITS.contains(&details);
        !is_cut && (!may_be_cut || status >= 400 || has_no_body(status))
    }
}

/// Nothing of such a response can be missing (RFC 9110, sections 15.3.5 and 15.4.5).
fn has_no_body(status: u16) -> bool {
    matches!(status, 204 | 304)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::fake::FakeStream;

    /// Flags, details and status as Envoy 1.40 gives them.
    #[track_caller]
    fn check(flags: i64, details: &str, status: u16, expected: bool) {
        let stream = FakeStream::default()
            .with_number(Property::ResponseFlags, flags)
            .with_properties(&[(Property::ResponseCodeDetails, details)]);
        assert_eq!(Wholeness::default().is_whole(status, &stream), expected, "{flags} {details} {status}");
    }

    #[test]
    fn flags_and_details_tell() {
        check(0, "via_upstream", 200, true);
        check(0, "via_upstream", 503, true);
        check(256, "route_not_found", 404, true);
        check(16_384, "downstream_remote_disconnect", 200, false);
        check(268_435_456, "http2.remote_reset", 200, false);
        check(64, "upstream_reset_after_response_started{connection_termination}", 200, false);
        check(64, "upstream_reset_after_response_started{connection_termination}", 503, false);
        check(64, "upstream_reset_before_response_started{connection_termination}", 503, true);
        check(32 | 32_768, "upstream_reset_before_response_started{remote_connection_failure}", 503, true);
        check(4, "response_timeout", 504, true);
        check(4, "response_timeout", 200, false);
        check(65_536, "stream_idle_timeout", 408, true);
        check(65_536, "stream_idle_timeout", 200, false);
        check(0, "max_duration_timeout", 200, false);
        check(0, "max_duration_timeout", 408, true);
        check(0, "response_payload_too_large", 200, false);
        check(4, "response_timeout", 204, true);
        check(16_384, "downstream_remote_disconnect", 204, false);
        check(0, "direct_response", 302, true);
        check(0, "filter_chain_of_somebody", 302, true);
    }

    #[test]
    fn the_usual_response_costs_one_question() {
        let stream = FakeStream::default().with_properties(&[(Property::ResponseCodeDetails, "via_upstream")]);
        let wholeness = Wholeness::default();
        assert!(wholeness.is_whole(200, &stream));
        assert_eq!(wholeness.details(&stream), Some(b"via_upstream".as_slice()));
        assert_eq!(stream.asked.into_inner(), [Property::ResponseCodeDetails]);
    }
}
