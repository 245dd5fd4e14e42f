//! Whether a response was sent whole. Envoy's response flags tell at the end of the stream, so that no callback has to
//! follow the response; where a flag may mean both, the status and Envoy's details tell.

use std::cell::OnceCell;

use crate::host::{Property, Stream};

/// Flags by bit, as in [`super::flags`]. The client has gone while the response was on its way: DC, DR.
const CLIENT_GONE: u64 = 1 << 14 | 1 << 28;
/// Something broke: UT, LR, UR, UC, SI, DPE, UMSDR, DT, UPE, OM. Envoy answers with an error of its own where no response
/// has begun, and breaks off one that has.
const BROKEN: u64 = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 16 | 1 << 18 | 1 << 19 | 1 << 22 | 1 << 23 | 1 << 25;
/// In the details of a response that the upstream began and did not finish (Envoy
/// `source/common/stream_info/utility.h`, `UpstreamResetAfterResponseStarted`).
const AFTER_START: &[u8] = b"after_response_started";

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

    /// Whether a response that began with this status came to its end.
    ///
    /// An upstream that begins a response with an error status, and is then cut off by one of Envoy's timeouts, cannot be
    /// told from Envoy's own error: it counts as whole.
    pub(super) fn is_whole(&self, status: u16, stream: &dyn Stream) -> bool {
        let flags = self.flags(stream);
        if flags & CLIENT_GONE != 0 {
            return false;
        }
        flags & BROKEN == 0 || (status >= 400 && !self.is_reset_after_start(stream))
    }

    fn is_reset_after_start(&self, stream: &dyn Stream) -> bool {
        let details = self.details(stream).unwrap_or_default();
        details.windows(AFTER_START.len()).any(|part| part == AFTER_START)
    }
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
    }

    #[test]
    fn the_usual_response_costs_one_question() {
        let stream = FakeStream::default().with_number(Property::ResponseFlags, 0);
        let wholeness = Wholeness::default();
        assert!(wholeness.is_whole(200, &stream));
        assert_eq!(wholeness.flags(&stream), 0);
        assert_eq!(stream.asked.into_inner(), [Property::ResponseFlags]);
    }
}
