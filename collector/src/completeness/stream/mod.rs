//! One stream: received numbers, reported losses, and announced limits.

use serde::{Deserialize, Serialize};

use super::Sighting;
use super::announced::{Announced, Event, Loss, StreamLimits};
use super::numbers::{Bound, Numbers, Range};

/// The reason of the loss that ends a stream after a crash of its VM.
const VM_CRASH: &str = "vm_crash";

/// Loss reports that are kept individually.
const MAX_LOSSES: usize = 100;

/// State of a stream, independent of the order in which its records came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stream {
    /// `service.name`.
    pub service: Option<String>,
    /// Numbers that were received.
    pub received: Numbers,
    /// Numbers that the filter reported as lost.
    pub explained: Numbers,
    /// Those of these reports with the 100 lowest numbers, in ascending order.
    pub losses: Vec<Loss>,
    /// Whether its start was received.
    pub started: bool,
    /// Whether its end was received.
    pub ended: bool,
    /// The next number, as far as known from batches and the end, and when it was first received.
    pub next: Option<(i64, i64)>,
    /// The next number by the end alone: no record is known to come after it.
    pub end: Option<i64>,
    /// Whether its VM has crashed: the crash report covers every number that may have been given
    /// out.
    pub crashed: bool,
    /// It sends a record at least this often, in milliseconds; 0: it may be silent for ever.
    pub alive_interval_ms: Option<i64>,
    /// Most unacknowledged records of exchanges that it holds.
    pub buffer_records: Option<i64>,
    /// When its latest received record was made: by the clock of its sender, but not after its
    /// receipt. Unknown numbers were given out later.
    pub made: i64,
    /// When its first record was received.
    pub first_seen: i64,
    /// When its last record was received.
    pub last_seen: i64,
    /// Numbers below are not looked for, see [`Stream::begin_late`].
    #[serde(skip)]
    pub looked_for_from: i64,
}

impl Stream {
    /// A stream without records, whose sets of numbers have this bound.
    pub fn bounded(bound: Bound) -> Self {
        Self {
            received: Numbers::bounded(bound),
            explained: Numbers::bounded(bound),
            ..Self::default()
        }
    }

    /// Adds one record.
    pub fn see(&mut self, sighting: Sighting<'_>) {
        self.seen(sighting.received_at, sighting.received_at);

        if self.service.as_deref() != sighting.service {
            self.service = sighting
                .service
                .map(ToOwned::to_owned)
                .or(self.service.take());
        }

        self.received.add(sighting.number, sighting.received_at);
        let observed_at = if sighting.observed_at > 0 {
            sighting.observed_at
        } else {
            sighting.received_at
        };
        self.made = self.made.max(observed_at.min(sighting.received_at));

        let Announced { next, event } = sighting.announced;
        self.promise(next.map(|next| (next, sighting.received_at)));

        match event {
            Event::Other => {}
            Event::Start(limits) => {
                self.started = true;
                self.announce(limits);
            }
            Event::Alive(limits) => self.announce(limits),
            Event::End => {
                self.ended = true;
                self.end = self.end.max(next);
            }
            // A filter reports a loss after the fact, so the lost numbers precede that of the
            // report.
            Event::Loss(loss) if loss.last < sighting.number => self.lost(loss),
            Event::Loss(_) => {}
        }
    }

    /// Every number below was given out. The highest one counts; among equal ones, the first
    /// received.
    fn promise(&mut self, next: Option<(i64, i64)>) {
        let rank = |(next, since): (i64, i64)| (next, std::cmp::Reverse(since));
        self.next = self
            .next
            .into_iter()
            .chain(next)
            .max_by_key(|next| rank(*next));
    }

    /// All records of a stream announce the same limits.
    fn announce(&mut self, limits: StreamLimits) {
        self.alive_interval_ms = limits.alive_interval_ms.max(self.alive_interval_ms);
        self.buffer_records = limits.buffer_records.max(self.buffer_records);
    }

    /// Adds the state from other records of the same stream.
    pub fn merge(&mut self, other: Self) {
        if other.last_seen > 0 {
            self.seen(other.first_seen, other.last_seen);
        }

        self.service = self.service.take().or(other.service);
        self.received.add_all(&other.received);
        self.explained.add_all(&other.explained);
        for loss in other.losses {
            self.list(loss);
        }

        self.started |= other.started;
        self.ended |= other.ended;
        self.promise(other.next);
        self.end = self.end.max(other.end);
        self.crashed |= other.crashed;

        self.announce(StreamLimits {
            alive_interval_ms: other.alive_interval_ms,
            buffer_records: other.buffer_records,
        });
        self.made = self.made.max(other.made);
    }

    /// Whether every number that was given out is known: by its end, or by the report of its crash.
    pub fn is_over(&self) -> bool {
        let has_ended = self.ended
            && self
                .end
                .is_none_or(|end| self.next.is_none_or(|(next, _)| next <= end));
        has_ended || self.crashed
    }

    /// Looks for no number below the first one that is known, unless the start was received. For
    /// records that begin later than their streams do.
    pub fn begin_late(&mut self) {
        if !self.started
            && let Some(first) = self.covered().ranges().first()
        {
            self.looked_for_from = first.first;
        }
    }

    fn seen(&mut self, first: i64, last: i64) {
        self.first_seen = if self.last_seen == 0 {
            first
        } else {
            self.first_seen.min(first)
        };
        self.last_seen = self.last_seen.max(last);
    }

    fn lost(&mut self, loss: Loss) {
        self.crashed |= loss.reason == VM_CRASH;
        self.explained.add_range(Range {
            first: loss.first,
            last: loss.last,
            since: loss.since,
        });
        self.list(loss);
    }

    /// Lists each loss once, by its numbers, so that neither the order of the reports nor a repeat
    /// changes the list.
    fn list(&mut self, loss: Loss) {
        match self
            .losses
            .binary_search_by(|known| rank(known).cmp(&rank(&loss)))
        {
            Ok(known) => {
                if let Some(known) = self.losses.get_mut(known) {
                    known.since = known.since.min(loss.since);
                }
            }
            Err(place) => {
                self.losses.insert(place, loss);
                self.losses.truncate(MAX_LOSSES);
            }
        }
    }

    /// All numbers that are received or explained.
    fn covered(&self) -> Numbers {
        // Both are bounded, and together no more than twice as large.
        let mut covered = Numbers::bounded(Bound(usize::MAX));
        covered.add_all(&self.received);
        covered.add_all(&self.explained);
        covered
    }

    /// How many numbers were not received, but are explained by losses.
    pub fn explained_count(&self) -> i64 {
        self.covered().count() - self.received.count()
    }

    /// Ranges of numbers neither received nor explained, each with the time since which that is
    /// known.
    pub fn missing(&self) -> Vec<Range> {
        let covered = self.covered();
        let end = self.next.map(|(next, since)| Range {
            first: next,
            last: next,
            since,
        });

        let mut expected = self.looked_for_from;
        let mut missing = Vec::new();
        for range in covered.ranges().iter().chain(&end) {
            if range.first > expected {
                missing.push(Range {
                    first: expected,
                    last: range.first - 1,
                    since: range.since,
                });
            }
            expected = expected.max(range.last.saturating_add(1));
        }

        missing
    }
}

/// All of a loss but the time of its receipt.
fn rank(loss: &Loss) -> (i64, i64, i64, &str) {
    (loss.first, loss.last, loss.count, &loss.reason)
}

#[cfg(test)]
mod tests;
