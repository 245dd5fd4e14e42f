//! What an attempt's end means for its batch: one table for all statuses and for no status.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::partial_success;
use super::trial::Blame;
use crate::wire::Format;

/// How one attempt ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer<'a> {
    /// The status. `None`: Envoy refused the callout, the stream was reset (an answer without
    /// headers), or no answer came in time.
    pub status: Option<u16>,
    /// The raw value of `retry-after`.
    pub retry_after: Option<&'a [u8]>,
    /// The start of the body, at most [`MAX_BODY_BYTES`].
    pub body: &'a [u8],
    /// Envoy made the answer, not a host of the cluster.
    pub is_of_envoy: bool,
}

/// Most bytes of an answer's body that are read; a `partialSuccess` is far shorter.
pub const MAX_BODY_BYTES: usize = 65_536;

/// What to do with the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Disposition {
    /// Accepted, except for this many records.
    Acknowledged {
        /// From `partialSuccess.rejectedLogRecords`.
        rejected: u64,
    },
    /// Not acknowledged.
    Failed {
        /// What the failure is about.
        blame: Blame,
        /// From `Retry-After`: no further attempt before this delay.
        after: Option<Duration>,
    },
}

/// Classifies the end of an attempt. `now_unix_nanos` is the wall clock, for a `Retry-After` that
/// is a date.
///
/// OTLP forbids retries of most 4xx. Those about the configuration are retried nevertheless, since
/// an operator can correct it. 403 is not among them: a firewall in front of the audit cluster
/// answers so for the content of a batch. Nor is 500, by which an OpenTelemetry Collector reports a
/// permanent error of an exporter (receiver/otlpreceiver/internal/errors/errors.go).
pub fn classify(answer: &Answer<'_>, format: Format, now_unix_nanos: u64) -> Disposition {
    let after = answer
        .retry_after
        .and_then(|value| retry_after(value, now_unix_nanos));
    let blame = match answer.status {
        // NDJSON has no partial success: a 2xx accepts the whole batch.
        Some(200..=299) if format == Format::Ndjson => {
            return Disposition::Acknowledged { rejected: 0 };
        }
        Some(200..=299) => {
            return Disposition::Acknowledged {
                rejected: partial_success::rejected(answer.body),
            };
        }
        // A 413 with `Retry-After` is temporary (RFC 9110 section 15.5.14).
        Some(413 | 503) if after.is_some() => Blame::Load,
        Some(429) => Blame::Load,
        Some(400 | 409 | 413 | 422) => Blame::Content,
        Some(300..=399 | 401 | 404 | 405 | 407 | 415) => Blame::Setup,
        Some(_) | None => Blame::Unknown,
    };

    Disposition::Failed { blame, after }
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or an HTTP date. A past date means no delay.
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

    const ACK: Disposition = Disposition::Acknowledged { rejected: 0 };

    fn failed(blame: Blame) -> Disposition {
        Disposition::Failed { blame, after: None }
    }

    #[track_caller]
    fn check(status: Option<u16>, body: &str, expected: Disposition) {
        let answer = Answer {
            status,
            body: body.as_bytes(),
            ..Answer::default()
        };

        assert_eq!(
            classify(&answer, Format::OtlpJson, 0),
            expected,
            "{status:?} {body}"
        );
    }

    #[test]
    fn statuses() {
        for status in [200, 202, 204, 299] {
            check(Some(status), "", ACK);
        }
        for status in [400, 409, 413, 422] {
            check(Some(status), "", failed(Blame::Content));
        }
        for status in [301, 302, 401, 404, 405, 407, 415] {
            check(Some(status), "", failed(Blame::Setup));
        }
        check(Some(429), "", failed(Blame::Load));
        for status in [100, 403, 408, 425, 500, 502, 503, 504, 599, 0, 999] {
            check(Some(status), "", failed(Blame::Unknown));
        }
        check(None, "", failed(Blame::Unknown));
    }

    #[test]
    fn a_retry_after_is_about_load() {
        for (status, expected) in [
            (503, Blame::Load),
            (413, Blame::Load),
            (500, Blame::Unknown),
            (400, Blame::Content),
        ] {
            let answer = Answer {
                status: Some(status),
                retry_after: Some(b"1"),
                ..Answer::default()
            };
            let after = Some(Duration::from_secs(1));

            assert_eq!(
                classify(&answer, Format::OtlpJson, 0),
                Disposition::Failed {
                    blame: expected,
                    after
                },
                "{status}"
            );
        }
    }

    #[test]
    fn partial_success() {
        check(Some(200), "{}", ACK);
        check(
            Some(200),
            r#"{"partialSuccess":{"rejectedLogRecords":"3"}}"#,
            Disposition::Acknowledged { rejected: 3 },
        );
        check(
            Some(202),
            "\n\u{2}\u{8}\u{3}",
            Disposition::Acknowledged { rejected: 3 },
        );
        check(Some(200), "garbage", ACK);
        let body = br#"{"partialSuccess":{"rejectedLogRecords":3}}"#;
        let answer = Answer {
            status: Some(200),
            body,
            ..Answer::default()
        };

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
            let answer = Answer {
                status: Some(429),
                retry_after: Some(value.as_bytes()),
                ..Answer::default()
            };
            let expected = Disposition::Failed {
                blame: Blame::Load,
                after: seconds.map(Duration::from_secs),
            };

            assert_eq!(
                classify(&answer, Format::OtlpJson, nanos),
                expected,
                "{value:?}"
            );
        }
    }
}
