//! What an attempt's end means for its batch: one table for every status and for no status at all.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::partial_success;
use crate::wire::Format;

/// How one attempt ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer<'a> {
    /// The status; `None` when Envoy refused the callout, the stream was reset (an answer without headers), or nothing
    /// came in time.
    pub status: Option<u16>,
    /// The raw value of `retry-after`.
    pub retry_after: Option<&'a [u8]>,
    /// The start of the body, at most [`MAX_BODY_BYTES`].
    pub body: &'a [u8],
}

/// How much of an answer's body is worth reading; a `partialSuccess` is far shorter.
pub const MAX_BODY_BYTES: usize = 65_536;

/// What to do with the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Done, but for this many records that the audit cluster did not take.
    Acknowledged {
        /// From `partialSuccess.rejectedLogRecords`.
        rejected: u64,
    },
    /// Send the same bytes again, not before this long.
    Retry {
        /// From `Retry-After`.
        after: Option<Duration>,
    },
    /// The content is refused: cut it in halves to find the bad record.
    Refused,
}

/// Classifies the end of an attempt. `now` is the wall clock, for a `Retry-After` that is a date.
///
/// OTLP forbids to retry most 4xx; 401, 403, 404 and the like are retried all the same, since they tell of a
/// configuration that an operator will mend, and not of the records.
pub fn classify(answer: &Answer<'_>, format: Format, now_unix_nanos: u64) -> Verdict {
    match answer.status {
        // NDJSON has no answer of its own: every 2xx takes the whole batch.
        Some(200..=299) if format == Format::Ndjson => Verdict::Acknowledged { rejected: 0 },
        Some(200..=299) => Verdict::Acknowledged { rejected: partial_success::rejected(answer.body) },
        // The content itself is refused: malformed, conflicting, too large, wrong type, unprocessable.
        Some(400 | 409 | 413 | 415 | 422) => Verdict::Refused,
        // Trouble of the audit cluster, of the way to it, or of the configuration.
        Some(_) | None => {
            Verdict::Retry { after: answer.retry_after.and_then(|value| retry_after(value, now_unix_nanos)) }
        }
    }
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or an HTTP date; a date that has passed asks for no delay.
fn retry_after(value: &[u8], now_unix_nanos: u64) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date: SystemTime = httpdate::parse_http_date(text).ok()?;
    let since_epoch = date.duration_since(UNIX_EPOCH).ok()?;
    Some(since_epoch.saturating_sub(Duration::from_nanos(now_unix_nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Verdict = Verdict::Retry { after: None };
    const ACK: Verdict = Verdict::Acknowledged { rejected: 0 };

    #[track_caller]
    fn check(status: Option<u16>, body: &str, expected: Verdict) {
        let answer = Answer { status, retry_after: None, body: body.as_bytes() };
        assert_eq!(classify(&answer, Format::OtlpJson, 0), expected, "{status:?} {body}");
    }

    #[test]
    fn statuses() {
        for status in [200, 202, 204, 299] {
            check(Some(status), "", ACK);
        }
        for status in [400, 409, 413, 415, 422] {
            check(Some(status), "", Verdict::Refused);
        }
        for status in [100, 301, 302, 401, 403, 404, 405, 408, 425, 429, 500, 502, 503, 504, 599, 0, 999] {
            check(Some(status), "", RETRY);
        }
        check(None, "", RETRY);
    }

    #[test]
    fn partial_success() {
        check(Some(200), "{}", ACK);
        check(Some(200), r#"{"partialSuccess":{"rejectedLogRecords":"3"}}"#, Verdict::Acknowledged { rejected: 3 });
        check(Some(202), "\n\u{2}\u{8}\u{3}", Verdict::Acknowledged { rejected: 3 });
        check(Some(200), "garbage", ACK);
        let answer =
            Answer { status: Some(200), retry_after: None, body: br#"{"partialSuccess":{"rejectedLogRecords":3}}"# };
        assert_eq!(classify(&answer, Format::Ndjson, 0), ACK);
    }

    #[test]
    fn retry_after() {
        let nanos = 784_111_770_000_000_000;
        for (value, seconds) in [
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("0", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            let answer = Answer { status: Some(429), retry_after: Some(value.as_bytes()), body: b"" };
            let expected = Verdict::Retry { after: seconds.map(Duration::from_secs) };
            assert_eq!(classify(&answer, Format::OtlpJson, nanos), expected, "{value:?}");
        }
    }
}
