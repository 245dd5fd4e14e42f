//! The report on the streams: on one of them for `GET /api/streams`, on all for `audit-collector
//! verify`.

use serde::Serialize;
use utoipa::ToSchema;

use super::Streams;
use super::numbers::{length, total};
use super::stream::Stream;

/// Most gaps listed per stream, as many as losses are kept; the sums count all of them.
const MAX_LISTED: usize = 100;

/// State of a stream, or of all of them.
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

/// Whether more can come of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// Its end was received, and nothing is known to come after it.
    Ended,
    /// The report of the crash of its VM was received. It explains every number that may have been
    /// given out.
    Crashed,
    /// A record of it was received within twice its longest announced interval.
    Alive,
    /// None was received in that time: it was killed, or cannot reach the collector.
    Silent,
    /// It has no interval (`stages.alive_interval: 0s`), or no record that announces one was
    /// received.
    Unknown,
}

/// State of a range of missing numbers.
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
    /// The reason.
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
    /// The next number, as far as is known: each batch carries it, as does the end of the stream.
    /// All numbers below were given out.
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
    /// Whether more can come of it.
    pub life: Life,
    /// It sends a record at least this often, in milliseconds; 0: it may be silent for ever.
    #[schema(required)]
    pub alive_interval_ms: Option<i64>,
    /// Records made after this time may be lost without a trace. In nanoseconds since the Unix
    /// epoch, by the clock of their sender. Null when it has ended or crashed.
    #[serde(serialize_with = "optional_digits")]
    #[schema(required, value_type = Option<String>, pattern = "^[0-9]+$")]
    pub unknown_since_unix_nano: Option<i64>,
    /// Most records of exchanges that the filter can have held then (`buffer.max_records`). Later
    /// drops come on top. Each batch reports the drops before it, so they are many only where the
    /// filter could not reach the collector from then on. Null when the limit was never announced.
    #[schema(required)]
    pub unknown_at_most: Option<i64>,
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The worst of the streams.
    pub status: Status,
    /// Records in the ledger, including those without a stream and those deleted by retention.
    pub records: i64,
    /// Sum over the streams.
    pub explained_losses: i64,
    /// Sum over the streams.
    pub open_numbers: i64,
    /// Sum over the streams.
    pub unexplained_numbers: i64,
    /// Records that came with the uid of another record.
    pub conflicts: i64,
    /// Streams without an end that have been silent for more than twice their announced interval.
    pub silent_streams: i64,
    /// The streams, last seen first.
    pub streams: Vec<StreamReport>,
}

/// When a missing number becomes a gap.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now, in nanoseconds since the Unix epoch.
    pub now: i64,
    /// How long a number may be missing before it counts as lost, in nanoseconds.
    pub grace: i64,
}

impl Moment {
    /// How far a time is from now, in either direction. A time in the future was received while the
    /// clock was ahead, so it is not recent.
    fn distance(self, time: i64) -> i64 {
        self.now.saturating_sub(time).saturating_abs()
    }

    /// What is missing since then, or for longer, is unexplained.
    pub fn long_ago(self) -> i64 {
        self.now.saturating_sub(self.grace)
    }
}

impl Streams {
    /// The report at `moment`.
    pub fn report(&self, moment: Moment, records: i64, conflicts: i64) -> Report {
        let mut streams: Vec<_> = self
            .by_id
            .iter()
            .map(|(id, stream)| StreamReport::new(id, stream, moment))
            .collect();

        streams.sort_by(|one, other| {
            other
                .last_seen_unix_nano
                .cmp(&one.last_seen_unix_nano)
                .then_with(|| one.stream_id.cmp(&other.stream_id))
        });

        Report {
            status: streams
                .iter()
                .map(|stream| stream.status)
                .max()
                .unwrap_or_default(),
            records,
            explained_losses: total(streams.iter().map(|stream| stream.explained_losses)),
            open_numbers: total(streams.iter().map(|stream| stream.open_numbers)),
            unexplained_numbers: total(streams.iter().map(|stream| stream.unexplained_numbers)),
            conflicts,
            silent_streams: total(
                streams
                    .iter()
                    .map(|stream| i64::from(stream.life == Life::Silent)),
            ),
            streams,
        }
    }
}

impl StreamReport {
    /// The report on one stream at `moment`.
    pub fn new(id: &str, stream: &Stream, moment: Moment) -> Self {
        let mut gaps = gaps(stream, moment);
        let numbers = |state: GapState| {
            let counted = gaps.iter().filter(|gap| gap.state == state);
            total(counted.map(|gap| length(gap.first_number, gap.last_number)))
        };
        let (open_numbers, unexplained_numbers) = (numbers(GapState::Open), numbers(GapState::Gap));

        gaps.truncate(MAX_LISTED);
        let ranges = stream.received.ranges();

        Self {
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
            life: life(stream, moment),
            alive_interval_ms: stream.alive_interval_ms,
            unknown_since_unix_nano: (!stream.is_over()).then_some(stream.made),
            unknown_at_most: if stream.is_over() {
                Some(0)
            } else {
                stream.buffer_records
            },
            first_seen_unix_nano: stream.first_seen,
            last_seen_unix_nano: stream.last_seen,
            gaps,
            losses: losses(stream),
        }
    }
}

fn life(stream: &Stream, moment: Moment) -> Life {
    if stream.is_over() {
        return if stream.crashed {
            Life::Crashed
        } else {
            Life::Ended
        };
    }

    let Some(patience) = stream.patience() else {
        return Life::Unknown;
    };

    if moment.distance(stream.last_seen) <= patience {
        Life::Alive
    } else {
        Life::Silent
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
        if moment.distance(since) < moment.grace {
            GapState::Open
        } else {
            GapState::Gap
        }
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

fn optional_digits<S: serde::Serializer>(
    number: &Option<i64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => digits(number, serializer),
        None => serializer.serialize_none(),
    }
}

/// Nanoseconds exceed the exact range of JSON numbers.
fn digits<S: serde::Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

#[cfg(test)]
mod tests;
