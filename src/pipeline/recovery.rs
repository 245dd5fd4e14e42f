//! Taking over from a crashed VM: its sealed batches go out under their old ids, and loss records of its streams cover the
//! rest. What a predecessor in the same VM hands over is kept beside it.

use uuid::Uuid;

use super::Pipeline;
use super::batch::{Batch, Content, Progress};
use super::buffer::Encoded;
use super::journal::{Estate, LEASE, Note, Saved, SavedRecord};
use super::lane::Lane;
use super::notices::Level;
use super::predecessor::Predecessor;
use crate::record::{Event, Loss};
use crate::stats::{Counter, Gauge, Gauges};
use crate::time::Now;
use crate::wire::Origin;

/// The streams of crashed VMs and of predecessors, until nothing of them is left.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    pub(super) streams: Vec<Predecessor>,
    /// Records that the crashed VMs had counted as held, and that have not been found yet. One sum for all streams: a
    /// VM that was an heir itself had counted those of the streams before it.
    pub(super) missing: u64,
}

/// What room there is for what is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// What is free within the limits.
    Free,
    /// As much as it takes.
    Any,
}

impl Recovery {
    /// Whether everything of crashed VMs has been taken over.
    pub(super) fn is_done(&self) -> bool {
        self.streams
            .iter()
            .all(|crashed| crashed.is_complete && crashed.losses.oldest().is_none())
    }

    /// Records of crashed VMs that are counted as held, and not taken over yet.
    pub(super) fn records(&self) -> u64 {
        self.missing
    }

    fn find(&mut self, stream: Uuid) -> Option<&mut Predecessor> {
        self.streams
            .iter_mut()
            .find(|crashed| crashed.estate.stream == stream)
    }
}

impl Pipeline {
    /// A VM is known to have crashed. Takes over from those of its streams that send the same to the same place; their
    /// batches follow with the next ticks.
    pub fn handle_crash(&mut self, vm: Uuid) {
        for estate in self.journal.claim(vm) {
            self.succeed(estate);
        }
    }

    /// What a stream of another VM has left is this one's now.
    pub(super) fn succeed(&mut self, estate: Estate) {
        self.stats.inherit(estate.note.gauges);
        self.recovery.missing += Gauge::BufferRecords.of(&estate.note.gauges);
        self.recovery.streams.push(Predecessor::crashed(estate));
    }

    /// The statistics have been told to the host, these gauges among them: whoever takes over after a crash has to know.
    pub fn handle_published(&mut self, told: Gauges) {
        self.journal.sweep();
        self.write_note(self.stream.next(), told);
        // What was inherited is in that share now.
        for crashed in &mut self.recovery.streams {
            crashed.rewrite(&self.journal, Default::default());
        }
    }

    /// A pipeline that has ended leaves nothing for anybody to take over.
    pub fn close(&mut self) {
        for crashed in std::mem::take(&mut self.recovery.streams) {
            self.journal.settle(&crashed.estate);
        }
        self.journal.close();
    }

    /// Notes which numbers are in no batch. `next` is the number that is given out next, or just was.
    pub(super) fn write_note(&mut self, next: u64, gauges: Gauges) {
        let oldest = self.oldest_unsealed(next);
        let given_out = self.stream.next();
        // A stream that takes over from another one may have no record of its own, and one that ends makes few.
        let lease = if given_out > 0 && !self.is_draining() {
            LEASE
        } else {
            0
        };
        let (unsettled, returns) = (self.oldest_unsettled(oldest), self.journal.returns());
        self.journal.write(Note {
            oldest,
            unsettled,
            next: given_out,
            lease_end: given_out + lease,
            returns,
            gauges,
        });
    }

    /// The same with those that are in batches.
    fn oldest_unsettled(&self, unsealed: u64) -> u64 {
        let own = self.batches().filter(|batch| batch.origin == self.origin());
        own.filter_map(|batch| batch.items().iter().map(|item| item.number).min())
            .fold(unsealed, u64::min)
    }

    /// The lowest number that is in no batch, and not reported as lost either; `next` where there is none.
    pub(super) fn oldest_unsealed(&self, next: u64) -> u64 {
        let waiting = Lane::ALL
            .into_iter()
            .filter_map(|lane| self.buffer.oldest(lane))
            .map(|record| record.number);
        let start = self.stream.pending_start().map(|start| start.number);
        waiting
            .chain(start)
            .chain(self.losses.first_number())
            .fold(next, u64::min)
    }

    /// Takes over batch by batch, as long as there is room.
    pub(super) fn inherit(&mut self, now: Now) {
        let mut streams = std::mem::take(&mut self.recovery.streams);
        for crashed in &mut streams {
            self.take_over_all(crashed, Room::Free, now);
        }
        // One that was an heir itself holds batches of those before it.
        if streams.iter().all(|crashed| crashed.is_complete) {
            self.stats.add(
                Counter::DroppedVmCrash,
                std::mem::take(&mut self.recovery.missing),
            );
            streams.retain(|crashed| {
                let is_held = self
                    .batches()
                    .any(|batch| batch.origin.stream_id == crashed.estate.stream);
                let is_left = is_held || crashed.losses.oldest().is_some();
                if !is_left {
                    self.journal.settle(&crashed.estate);
                }
                is_left
            });
        }
        self.recovery.streams = streams;
    }

    pub(super) fn take_over_all(&mut self, crashed: &mut Predecessor, room: Room, now: Now) {
        if crashed.is_complete {
            return;
        }
        while let Some(saved) = self.journal.next_saved(&mut crashed.estate) {
            if !self.take_over(crashed, saved, room, now) {
                return;
            }
        }
        crashed.is_complete = true;
        if let Some(loss) = crashed.untold(self.recovery.missing) {
            crashed.losses.add(loss, now.uptime);
            let (stream, Loss { first, last, .. }) = (crashed.estate.stream, loss);
            let what = if crashed.estate.damage.batches {
                "no batch, or in a damaged one,"
            } else {
                "no batch"
            };
            let text = format!(
                "takes over from stream {stream}, whose VM has crashed: what was in {what} is lost, some of the numbers \
                 {first} to {last}"
            );
            self.say(Level::Error, text);
        }
    }

    /// False: there is no room for it yet.
    fn take_over(&mut self, crashed: &mut Predecessor, saved: Saved, room: Room, now: Now) -> bool {
        if !self.make_room_for(&saved, room) {
            return false;
        }
        let count = saved.records.len() as u64;
        let counted = count.min(self.recovery.missing);
        self.recovery.missing -= counted;
        self.stats.add(Counter::Captured, count - counted);
        let mut batch = self.reseal(saved, now);
        if batch.origin.stream_id == crashed.estate.stream {
            crashed.sealed.extend(batch.ranges());
            crashed.see_progress(batch.progress, self.settings.buffer.max_records as u64);
        }
        self.journal.take_over(&mut crashed.estate, &mut batch);
        self.waiting.of_mut(batch.lane).push_back(batch);
        true
    }

    /// One batch at a time is taken over whatever the limits say: it may be larger than this buffer, and a buffer that
    /// is always full must not keep it out for ever.
    fn make_room_for(&mut self, saved: &Saved, room: Room) -> bool {
        let is_only = !self.batches().any(|batch| batch.origin != self.origin());
        let is_let_in = is_only || room == Room::Any;
        let exchanges = || {
            saved
                .records
                .iter()
                .filter(|record| record.content == Content::Exchange)
        };
        for (taken, record) in exchanges().enumerate() {
            let (lane, bytes) = (record.lane, record.fragment.len());
            if is_let_in {
                self.buffer.occupy(lane, bytes);
            } else if !self.buffer.take_place(lane, bytes) {
                exchanges()
                    .take(taken)
                    .for_each(|record| self.buffer.release(record.lane, record.fragment.len()));
                return false;
            }
        }
        true
    }

    fn reseal(&self, saved: Saved, now: Now) -> Batch {
        let Saved {
            id,
            stream,
            progress,
            lane,
            records,
        } = saved;
        let record = |SavedRecord {
                          number,
                          lane,
                          content,
                          fragment,
                      }: SavedRecord| {
            (
                Encoded {
                    number,
                    made: now.uptime,
                    lane,
                    fragment,
                },
                content,
            )
        };
        let records: Vec<(Encoded, Content)> = records.into_iter().map(record).collect();
        Batch::seal(
            id,
            Origin {
                stream_id: stream,
                recovered: true,
            },
            progress,
            lane,
            &records,
            &self.encoder,
        )
    }

    /// Notes a loss of another stream. False: nothing is known of that stream.
    pub(super) fn add_foreign_loss(&mut self, stream: Uuid, loss: Loss, now: Now) -> bool {
        let Some(crashed) = self.recovery.find(stream) else {
            return false;
        };
        crashed.estate.note.returns += 1;
        crashed.losses.add(loss, now.uptime);
        crashed.rewrite(&self.journal, crashed.note.gauges);
        true
    }

    /// The losses of another stream in a batch of their own; with its end, which comes after all of its records.
    pub(super) fn seal_foreign_losses(&mut self, now: Now) -> Option<Batch> {
        let has_losses = |crashed: &Predecessor| crashed.losses.oldest().is_some();
        if !self.recovery.streams.iter().any(has_losses) {
            return None;
        }
        self.check_seats(now);
        let limit = self.settings.batch.max_records;
        let crashed = self
            .recovery
            .streams
            .iter_mut()
            .find(|crashed| has_losses(crashed))?;
        let losses = crashed.losses.take(limit);
        let (origin, first) = (crashed.origin(), crashed.next);
        let has_end = !crashed.is_recovered;
        let end = first + losses.len() as u64;
        let next = end + u64::from(has_end);
        crashed.next = next;
        self.stats.add(Counter::Captured, next - first);
        let mut records = Vec::new();
        for (number, loss) in (first..).zip(losses) {
            let record = self.encode(number, Lane::Bulk, now.unix_nanos, &Event::Loss(loss), now);
            records.push((record, Content::Loss(loss)));
        }
        if has_end {
            let record = self.encode(
                end,
                Lane::Bulk,
                now.unix_nanos,
                &Event::StreamEnd { next },
                now,
            );
            records.push((record, Content::Lifecycle));
        }
        let batch = self.seal_records(
            origin,
            Progress {
                next,
                oldest: first,
                returns: 0,
            },
            Lane::Bulk,
            &records,
        );
        if let Some(crashed) = self.recovery.find(origin.stream_id) {
            crashed.rewrite(&self.journal, crashed.note.gauges);
        }
        Some(batch)
    }
}
