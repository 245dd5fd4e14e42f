//! The hand-over from a configuration that has ended to its successor in the same VM: batches keep their ids, records
//! their numbers, and the successor sends them with its own credentials.

use uuid::Uuid;

use super::Pipeline;
use super::batch::{Batch, Content, Item};
use super::cut::new_batch_id;
use super::journal::Estate;
use super::lane::Lane;
use super::notices::Level;
use super::predecessor::Predecessor;
use super::recovery::Recovery;
use super::trial::Trial;
use super::window::{Flight, Window};
use crate::record::{Loss, LossReason};
use crate::stats::{Gauge, Gauges};
use crate::time::Now;

/// What a pipeline hands over: everything that it holds.
#[derive(Debug)]
#[must_use]
pub struct Legacy {
    estate: Estate,
    /// The number that the stream's next record gets.
    next: u64,
    batches: Vec<Batch>,
    recovery: Recovery,
    gauges: Gauges,
}

impl Legacy {
    /// The gauges of the pipeline before it handed over. They must have been published to the host: the successor counts them
    /// as its own.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        self.gauges
    }

    /// How many records it has, whatever they are.
    #[must_use]
    pub fn records(&self) -> u64 {
        Gauge::BufferRecords.of(&self.gauges)
    }
}

impl Pipeline {
    /// Whether this pipeline can send what the other one holds: it goes on, and writes batches alike. Where to does not
    /// count: the operator has changed that.
    #[must_use]
    pub fn can_succeed(&self, other: &Self) -> bool {
        !self.is_draining() && self.encoder.format() == other.encoder.format()
    }

    /// Hands over everything, once this pipeline is draining and nothing is in flight: until then it is not known
    /// what has to be handed over. `None`: not yet. [`Self::retire`] must follow when the successor has taken it.
    ///
    /// What is in flight for longer than [`DRAIN_LIMIT`](super::drain::DRAIN_LIMIT) is handed over all the same, and sent once more.
    pub fn hand_over(&mut self, now: Now) -> Option<Legacy> {
        if self.has_drained_long_enough(now) {
            self.take_flights_back();
        }
        if !self.is_draining() || self.staged.is_some() || self.flights().next().is_some() {
            return None;
        }
        self.check_seats(now);
        self.seal_all(now);
        let gauges = self.gauges();
        let batches: Vec<Batch> = Lane::ALL
            .into_iter()
            .flat_map(|lane| std::mem::take(self.waiting.of_mut(lane)))
            .collect();
        batches.iter().for_each(|batch| self.release_places(batch));
        Some(Legacy {
            estate: self.journal.estate(),
            next: self.stream.next(),
            batches,
            recovery: std::mem::take(&mut self.recovery),
            gauges,
        })
    }

    fn take_flights_back(&mut self) {
        for window in self.windows.each_mut() {
            for Flight { batch, .. } in window.land_all() {
                self.waiting.of_mut(batch.lane).push_back(batch);
            }
        }
    }

    /// From now on what this pipeline holds goes where a newer configuration of the plugin sends its records: this one may not
    /// end for hours, and the newer one may be what mends it.
    pub fn follow(&mut self, newer: &Self) {
        if self.settings.target != newer.settings.target {
            self.settings.target = newer.settings.target.clone();
            self.windows.each_mut().for_each(Window::end_backoff);
        }
    }

    /// Whether this pipeline can follow the other one: they write batches alike.
    #[must_use]
    pub fn can_follow(&self, newer: &Self) -> bool {
        !newer.is_draining() && self.encoder.format() == newer.encoder.format()
    }

    /// The successor has taken what was handed over: nothing of this stream is here any longer.
    pub fn retire(&mut self) {
        self.journal.retire();
    }

    /// Takes what a predecessor hands over, as far as this buffer has room. The rest is lost as `buffer_full`.
    pub fn handle_legacy(&mut self, legacy: Legacy, now: Now) {
        let records = legacy.records();
        let Legacy {
            estate,
            next,
            batches,
            recovery,
            gauges,
        } = legacy;
        self.stats.inherit(gauges);
        self.recovery.missing += recovery.missing;
        self.recovery.streams.extend(recovery.streams);
        let stream = estate.stream;
        let mut predecessor = Predecessor::ended(estate, next);
        predecessor.rewrite(&self.journal, Gauges::default());
        self.recovery.streams.push(predecessor);
        for predecessor in &self.recovery.streams {
            self.journal.adopt(predecessor.estate());
        }

        batches.into_iter().for_each(|batch| self.adopt(batch, now));
        if records > 0 {
            self.say(
                Level::Info,
                format!(
                    "takes over {records} records of stream {stream}, whose configuration has ended"
                ),
            );
        }
    }

    /// Makes a batch its own, without the records for which there is no room.
    fn adopt(&mut self, mut batch: Batch, now: Now) {
        let lost: Vec<u64> = batch
            .items()
            .iter()
            .filter(|item| !self.takes_place(item))
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
        batch.slot = None;
        // What was refused here may be taken under the new configuration.
        batch.trial = Trial::default();
        batch.not_before = now.uptime;
        self.journal.keep(&mut batch);
        self.waiting.of_mut(batch.lane).push_back(batch);
    }

    /// Takes a place for a record that needs one. False: there is none.
    fn takes_place(&mut self, item: &Item) -> bool {
        item.content != Content::Exchange || self.buffer.take_place(item.lane, item.bytes())
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
