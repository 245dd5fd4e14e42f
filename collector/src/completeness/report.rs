//! What `GET /api/streams` and `audit-collector verify` say about the streams.

use serde::Serialize;
use utoipa::ToSchema;

use super::Streams;
use super::numbers::{length, total};
use super::stream::Stream;

/// Most gaps that are listed for one stream, as many as losses are kept; the sums count all of them.
const MAX_LISTED: usize = 100;

/// How a stream, or all of them, stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Every number is received or explained.
    #[default]
    Complete,
    /// Numbers are missing, but may still be on their way.
    Open,
    /// Numbers are missing without an explanation.
    Gap,
}

/// What a range of missing numbers is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GapState {
    /// Known for less than the grace period.
    Open,
    /// Known for longer.
    Gap,
}

/// Numbers that were neither received nor explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Gap {
    /// First number.
    pub first_number: i64,
    /// Last number.
    pub last_number: i64,
    /// Whether it may still be filled.
    pub state: GapState,
    /// Since when it is known, in nanoseconds since the Unix epoch.
    #[serde(serialize_with = "digits")]
    #[schema(value_type = String, pattern = "^[0-9]+$")]
    pub since_unix_nano: i64,
}

/// A loss that the filter reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Loss)]
pub struct LossReport {
    /// First number.
    pub first_number: i64,
    /// Last number.
    pub last_number: i64,
    /// How many records were lost; an upper bound when the reason is `vm_crash`.
    pub count: i64,
    /// Why.
    pub reason: String,
}

/// One stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Stream)]
pub struct StreamReport {
    /// `audit.stream.id`.
    pub stream_id: String,
    /// `service.name`.
    #[schema(required)]
    pub service: Option<String>,
    /// The worst of its gaps.
    pub status: Status,
    /// How many different numbers were received.
    pub received: i64,
    /// Lowest number that was received.
    pub first_number: i64,
    /// Highest number that was received.
    pub last_number: i64,
    /// The number that would have come next, when its end was received.
    #[schema(required)]
    pub next_number: Option<i64>,
    /// Numbers that were not received, and are explained by losses.
    pub explained_losses: i64,
    /// Numbers that are missing for less than the grace period.
    pub open_numbers: i64,
    /// Numbers that are missing for longer.
    pub unexplained_numbers: i64,
    /// Whether its start was received.
    pub started: bool,
    /// Whether its end was received.
    pub ended: bool,
    /// When its first record was received.
    #[serde(serialize_with = "digits")]
    #[schema(value_type = String, pattern = "^[0-9]+$")]
    pub first_seen_unix_nano: i64,
    /// When its last record was received.
    #[serde(serialize_with = "digits")]
    #[schema(value_type = String, pattern = "^[0-9]+$")]
    pub last_seen_unix_nano: i64,
    /// The first 100 gaps.
    pub gaps: Vec<Gap>,
    /// The first 100 losses.
    pub losses: Vec<LossReport>,
}

/// All streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Streams)]
pub struct Report {
    /// The worst of the streams.
    pub status: Status,
    /// Records in the ledger, those without a stream and those that were deleted by retention included.
    pub records: i64,
    /// Sum over the streams.
    pub explained_losses: i64,
    /// Sum over the streams.
    pub open_numbers: i64,
    /// Sum over the streams.
    pub unexplained_numbers: i64,
    /// Records that came under the uid of another one.
    pub conflicts: i64,
    /// The streams, last seen first.
    pub streams: Vec<StreamReport>,
}

/// When a missing number is a gap.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now, in nanoseconds since the Unix epoch.
    pub now: i64,
    /// How long a number may be missing before it counts as lost, in nanoseconds.
    pub grace: i64,
}

impl Streams {
    /// The report at `moment`.
    pub fn report(&self, moment: Moment, records: i64, conflicts: i64) -> Report {
        let mut streams: Vec<_> = self.by_id.iter().map(|(id, stream)| stream_report(id, stream, moment)).collect();
        streams.sort_by(|one, other| {
            other.last_seen_unix_nano.cmp(&one.last_seen_unix_nano).then_with(|| one.stream_id.cmp(&other.stream_id))
        });
        Report {
            status: streams.iter().map(|stream| stream.status).max().unwrap_or_default(),
            records,
            explained_losses: total(streams.iter().map(|stream| stream.explained_losses)),
            open_numbers: total(streams.iter().map(|stream| stream.open_numbers)),
            unexplained_numbers: total(streams.iter().map(|stream| stream.unexplained_numbers)),
            conflicts,
            streams,
        }
    }
}

fn stream_report(id: &str, stream: &Stream, moment: Moment) -> StreamReport {
    let mut gaps = gaps(stream, moment);
    let numbers = |state: GapState| {
        let counted = gaps.iter().filter(|gap| gap.state == state);
        total(counted.map(|gap| length(gap.first_number, gap.last_number)))
    };
    let (open_numbers, unexplained_numbers) = (numbers(GapState::Open), numbers(GapState::Gap));
    gaps.truncate(MAX_LISTED);
    let ranges = stream.received.ranges();
    StreamReport {
        stream_id: id.to_owned(),
        service: stream.service.clone(),
        status: status(open_numbers, unexplained_numbers),
        received: stream.received.count(),
        first_number: ranges.first().map_or(0, |range| range.first),
        last_number: ranges.last().map_or(0, |range| range.last),
        next_number: stream.next.map(|(next, _)| next),
        explained_losses: stream.explained_count(),
        open_numbers,
        unexplained_numbers,
        started: stream.started,
        ended: stream.ended,
        first_seen_unix_nano: stream.first_seen,
        last_seen_unix_nano: stream.last_seen,
        gaps,
        losses: losses(stream),
    }
}

fn status(open: i64, unexplained: i64) -> Status {
    match (open, unexplained) {
        (0, 0) => Status::Complete,
        (_, 0) => Status::Open,
        _ => Status::Gap,
    }
}

fn gaps(stream: &Stream, moment: Moment) -> Vec<Gap> {
    let state = |since: i64| {
        if moment.now.saturating_sub(since) < moment.grace { GapState::Open } else { GapState::Gap }
    };
    let missing = stream.missing().into_iter();
    missing
        .map(|range| Gap {
            first_number: range.first,
            last_number: range.last,
            state: state(range.since),
            since_unix_nano: range.since,
        })
        .collect()
}

fn losses(stream: &Stream) -> Vec<LossReport> {
    let listed = stream.losses.iter();
    listed
        .map(|loss| LossReport {
            first_number: loss.first,
            last_number: loss.last,
            count: loss.count,
            reason: loss.reason.clone(),
        })
        .collect()
}

/// Nanoseconds exceed what a JSON number holds exactly.
fn digits<S: serde::Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

#[cfg(test)]
mod tests {
    use super::super::{Event, Sighting};
    use super::*;

    const GRACE: i64 = 10;

    fn streams(numbers: &[(&str, i64, i64)]) -> Streams {
        let mut streams = Streams::default();
        for &(id, number, received_at) in numbers {
            streams.see(id, Sighting { service: None, number, received_at, event: Event::Other });
        }
        streams
    }

    #[test]
    fn a_young_gap_is_open_and_an_old_one_is_a_gap() {
        let streams = streams(&[("a", 0, 1), ("a", 2, 5)]);
        for (now, status, open, unexplained) in [(14, Status::Open, 1, 0), (15, Status::Gap, 0, 1)] {
            let report = streams.report(Moment { now, grace: GRACE }, 2, 0);
            assert_eq!((report.status, report.open_numbers, report.unexplained_numbers), (status, open, unexplained));
        }
    }

    #[test]
    fn the_worst_stream_gives_the_status_and_the_youngest_comes_first() {
        let streams = streams(&[("a", 0, 1), ("b", 1, 2), ("c", 0, 3)]);
        let report = streams.report(Moment { now: 100, grace: GRACE }, 3, 0);
        let ids: Vec<_> = report.streams.iter().map(|stream| (stream.stream_id.as_str(), stream.status)).collect();
        assert_eq!(ids, [("c", Status::Complete), ("b", Status::Gap), ("a", Status::Complete)]);
        assert_eq!(report.status, Status::Gap);
    }
}
