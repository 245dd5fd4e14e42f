//! The hand-over from a configuration that has ended to its successor in the same VM. Batches keep
//! their ids, records their numbers; the successor sends them with its credentials.

use uuid::Uuid;

use super::Pipeline;
use super::batch::{Batch, Content, Item};
use super::cut::new_batch_id;
use super::journal::Orphan;
use super::lane::Lane;
use super::notices::Level;
use super::predecessor::Predecessor;
use super::recovery::Recovery;
use super::trial::Trial;
use super::window::{InFlight, Window};
use crate::record::{Loss, LossReason};
use crate::stats::{Gauge, Gauges};
use crate::time::Now;

/// All that a pipeline hands over.
#[derive(Debug)]
#[must_use]
pub struct HandOver {
    orphan: Orphan,
    /// The number that the stream's next record gets.
    next: u64,
    batches: Vec<Batch>,
    recovery: Recovery,
    gauges: Gauges,
}

impl HandOver {
    /// The gauges of the pipeline before it handed over. They must be published to the host first:
    /// the successor inherits them.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        self.gauges
    }

    /// How many records it has, of all kinds.
    #[must_use]
    pub fn records(&self) -> u64 {
        Gauge::BufferRecords.of(&self.gauges)
    }
}

impl Pipeline {
    /// Whether this pipeline can send the other one's records: it goes on, and encodes alike. The
    /// destination does not count: the operator has changed it.
    #[must_use]
    pub fn can_succeed(&self, other: &Self) -> bool {
        !self.is_draining() && self.encoder.format() == other.encoder.format()
    }

    /// Hands over everything, once this pipeline is draining and nothing is in flight: until then
    /// the rest is not known. `None`: not yet. [`Self::retire`] must follow when the successor has
    /// taken it.
    ///
    /// Batches in flight for longer than [`DRAIN_LIMIT`](super::drain::DRAIN_LIMIT) are handed over
    /// nevertheless, and sent once more.
    pub fn hand_over(&mut self, now: Now) -> Option<HandOver> {
        if self.has_drained_long_enough(now) {
            self.requeue_in_flight();
        }

        if !self.is_draining() || self.prepared.is_some() || self.in_flight().next().is_some() {
            return None;
        }

        self.check_slots(now);
        self.seal_all(now);
        let gauges = self.gauges();
        let batches: Vec<Batch> = Lane::ALL
            .into_iter()
            .flat_map(|lane| std::mem::take(self.waiting.of_mut(lane)))
            .collect();
        batches.iter().for_each(|batch| self.release_space(batch));
        Some(HandOver {
            orphan: self.journal.as_orphan(),
            next: self.sequence.next(),
            batches,
            recovery: std::mem::take(&mut self.recovery),
            gauges,
        })
    }

    fn requeue_in_flight(&mut self) {
        for window in self.windows.each_mut() {
            for InFlight { batch, .. } in window.take_all() {
                self.waiting.of_mut(batch.lane).push_back(batch);
            }
        }
    }

    /// Sends from now on where a newer configuration of the plugin does. This one may not end for
    /// hours, and the newer one may have the working destination.
    pub fn follow(&mut self, newer: &Self) {
        if self.settings.target != newer.settings.target {
            self.settings.target = newer.settings.target.clone();
            self.windows.each_mut().for_each(Window::end_backoff);
        }
    }

    /// Whether this pipeline can follow the other one: they encode alike.
    #[must_use]
    pub fn can_follow(&self, newer: &Self) -> bool {
        !newer.is_draining() && self.encoder.format() == newer.encoder.format()
    }

    /// The successor has taken over: this pipeline keeps nothing of the stream.
    pub fn retire(&mut self) {
        self.journal.retire();
    }

    /// Takes over from a predecessor, as far as this buffer has room. The rest is lost as
    /// `buffer_full`.
    pub fn handle_hand_over(&mut self, handed_over: HandOver, now: Now) {
        let records = handed_over.records();
        let HandOver {
            orphan,
            next,
            batches,
            recovery,
            gauges,
        } = handed_over;
        self.stats.inherit(gauges);
        self.recovery.missing += recovery.missing;
        self.recovery.streams.extend(recovery.streams);
        let stream = orphan.stream;
        let mut predecessor = Predecessor::ended(orphan, next);
        predecessor.rewrite(&self.journal, Gauges::default());
        self.recovery.streams.push(predecessor);
        for predecessor in &self.recovery.streams {
            self.journal.adopt(predecessor.orphan());
        }

        batches.into_iter().for_each(|batch| self.adopt(batch, now));
        if records > 0 {
            self.log(
                Level::Info,
                format!(
                    "takes over {records} records of stream {stream}, whose configuration has ended"
                ),
            );
        }
    }

    /// Adopts a batch, without the records for which there is no room.
    fn adopt(&mut self, mut batch: Batch, now: Now) {
        let lost: Vec<u64> = batch
            .items()
            .iter()
            .filter(|item| !self.occupy_for(item))
            .map(|item| item.number)
            .collect();
        if !lost.is_empty() {
            self.lose_of(batch.origin.stream_id, &lost, now);
            let mut kept = batch.unsealed();
            kept.retain(|(record, _)| !lost.contains(&record.number));
            if kept.is_empty() {
                return;
            }
            let id = new_batch_id(&mut self.random);
            batch = batch.reseal(id, &kept, &self.encoder);
        }

        batch.cell = None;
        // A batch that was refused before may be accepted under the new configuration.
        batch.trial = Trial::default();
        batch.not_before = now.uptime;
        self.journal.keep(&mut batch);
        self.waiting.of_mut(batch.lane).push_back(batch);
    }

    /// Uses memory for a record that needs it. False: there is no room.
    fn occupy_for(&mut self, item: &Item) -> bool {
        item.content != Content::Exchange || self.buffer.try_occupy(item.lane, item.bytes())
    }

    fn lose_of(&mut self, stream: Uuid, numbers: &[u64], now: Now) {
        let reason = LossReason::BufferFull;
        self.count_dropped(reason, numbers.len() as u64, now);

        for &number in numbers {
            self.add_foreign_loss(
                stream,
                Loss {
                    reason,
                    count: 1,
                    first: number,
                    last: number,
                },
                now,
            );
        }
    }
}
