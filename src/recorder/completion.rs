//! The end of a stream: the exchange ends, or continues as another stream.

use super::Recorder;
use super::assembly::{self, End};
use super::exchange::{Audited, Exchange, Seen};
use super::headers::Headers;
use super::outcome::answer::{self, Answer};
use super::outcome::completeness::Completeness;
use super::outcome::ending::Ending;
use crate::host::Stream;
use crate::record::ExchangeRecord;
use crate::stats::{Counter, Stats};
use crate::time::Now;

/// Result of the end of a stream.
#[derive(Debug)]
#[must_use]
pub struct Ended {
    /// The record, if a rule wants one.
    pub record: Option<Box<ExchangeRecord>>,
    /// The exchange continues in another stream: keep it in [`super::recreated::Recreated`].
    pub is_recreated: bool,
}

impl Recorder {
    /// Makes the record of an exchange at the end of its stream. Later calls return none.
    pub fn handle_end(
        &self,
        exchange: &mut Exchange,
        stream: &dyn Stream,
        clock: &dyn Fn() -> Now,
        stats: &Stats,
    ) -> Ended {
        let completeness = Completeness::default();
        if exchange.may_be_recreated() && completeness.is_recreated(stream) {
            return self.handle_recreated(exchange, completeness, stream, clock, stats);
        }

        Ended {
            record: self.end(exchange, completeness, stream, clock, stats),
            is_recreated: false,
        }
    }

    /// The stream continues as another one. A redirect, or a recreation before any response, does
    /// not end the exchange. Any other response does: `custom_response` sends another one in its
    /// place.
    fn handle_recreated(
        &self,
        exchange: &mut Exchange,
        completeness: Completeness,
        stream: &dyn Stream,
        clock: &dyn Fn() -> Now,
        stats: &Stats,
    ) -> Ended {
        let map = stream.response_headers();
        let is_answered = answer::http_status(&Headers::parse(&map))
            .is_some_and(|status| !(300..400).contains(&status));
        let mut record = None;
        if is_answered {
            record = self.end(exchange, completeness, stream, clock, stats);
            exchange.conclude();
        }

        Ended {
            record,
            is_recreated: true,
        }
    }

    fn end(
        &self,
        exchange: &mut Exchange,
        completeness: Completeness,
        stream: &dyn Stream,
        clock: &dyn Fn() -> Now,
        stats: &Stats,
    ) -> Option<Box<ExchangeRecord>> {
        let mut audited = exchange.take()?;
        let Audited { subject, seen, .. } = &mut *audited;
        let kept = seen.headers.take();
        let was_seen = kept.is_some();
        let map = kept.unwrap_or_else(|| stream.response_headers());
        let headers = Headers::parse(&map);
        let answer = answer_of(seen, &headers, was_seen);

        let mut ending = Ending::read(subject, answer, completeness, stream);
        stats.add(Counter::Ambiguous, u64::from(ending.belies(subject.claim)));

        let Some((place, protocol)) = ending.choose(subject) else {
            stats.add(Counter::Excluded, 1);
            return None;
        };

        if let Some(body) = &mut seen.body
            && !ending.is_whole()
        {
            body.break_off();
        }

        let client_address = self.client_address(exchange, subject, stream);
        let end = End {
            place,
            protocol,
            response: &headers,
            client_address,
            stream,
            clock,
        };

        assembly::record(&mut audited, &mut ending, end)
    }
}

/// The response as the callbacks left it. `was_seen`: the filter was called for the headers.
fn answer_of<'a>(seen: &mut Seen, headers: &'a Headers<'a>, was_seen: bool) -> Answer<'a> {
    let has_body_end = seen.status.is_none() && seen.body_end.is_some();
    let status = seen
        .status
        .take()
        .or_else(|| seen.body_end.take().and_then(|end| end.status()));

    Answer {
        headers,
        content_type: headers.first("content-type").unwrap_or_default(),
        was_seen,
        is_whole: seen.is_whole,
        has_body_end,
        is_grpc: seen.is_grpc,
        has_seen_status: status.is_some(),
        status,
    }
}
