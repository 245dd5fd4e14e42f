//! Takeover from a crashed VM, and the orphans that a pipeline holds.
//!
//! 1. Crash: a trap ends the VM. Its slots stay in shared data with its last heartbeat.
//! 2. Reload: Envoy loads a VM in its place, on the same thread. Its first tick sends a message to
//!    the queue of each other VM in the directory (`adapter/vm.rs`). The message for the crashed VM
//!    arrives in this VM itself, which proves the crash.
//! 3. Claim: [`Pipeline::handle_crash`] writes this VM into the crashed one's entries with the same
//!    destination. Without such a message, `watch.rs` claims all entries of the plugin in a VM that
//!    writes no heartbeat for 30 s, or for 2 s after the end of its configuration. Compare and swap
//!    lets one VM win.
//! 4. Resend: each tick copies batches to the own slot, as far as the buffer has room, and at least
//!    one at a time. They leave under their old ids, marked `audit.recovered`.
//! 5. Loss record: when all batches of the stream are found, its other numbers from `oldest` on are
//!    reported as `vm_crash`. `count` has those given out before the checkpoint; the range ends
//!    before `reserved_until`, which is the number of the loss record.
//! 6. Release: when all its batches have ended and all losses are reported, the slot is released.
//!
//! A claimant that crashes in between is taken over in the same way, with all slots it has claimed.
//! Orphans of the same VM come by [`Pipeline::handle_hand_over`] and skip steps 1 to 5.

use uuid::Uuid;

use super::Pipeline;
use super::batch::{Batch, Content, Progress};
use super::buffer::Encoded;
use super::journal::{Checkpoint, NUMBERS_PER_CHECKPOINT, Orphan, Saved, SavedRecord};
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
    /// Records that the crashed VMs had counted as held, and that were not found yet. One sum for
    /// all streams: a VM that was a successor had counted those of the streams before it.
    pub(super) missing: u64,
}

/// The limit for records that are taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// The free room within the limits.
    Free,
    /// No limit.
    Any,
}

impl Recovery {
    /// Whether everything of crashed VMs was taken over and reported.
    pub(super) fn is_done(&self) -> bool {
        self.streams
            .iter()
            .all(|crashed| crashed.is_complete && crashed.losses.oldest().is_none())
    }

    /// Records of crashed VMs that are counted as held, and were not found yet.
    pub(super) fn records(&self) -> u64 {
        self.missing
    }

    fn find(&mut self, stream: Uuid) -> Option<&mut Predecessor> {
        self.streams
            .iter_mut()
            .find(|crashed| crashed.orphan.stream == stream)
    }
}

impl Pipeline {
    /// A VM has crashed. Claims its streams with the same destination; their batches follow with
    /// the next ticks.
    pub fn handle_crash(&mut self, vm: Uuid) {
        for orphan in self.journal.claim(vm) {
            self.adopt_orphan(orphan);
        }
    }

    /// Takes over the gauges and the batches of a stream of another VM.
    pub(super) fn adopt_orphan(&mut self, orphan: Orphan) {
        self.stats.inherit(orphan.checkpoint.gauges);
        self.recovery.missing += Gauge::BufferRecords.of(&orphan.checkpoint.gauges);
        self.recovery.streams.push(Predecessor::crashed(orphan));
    }

    /// The statistics were published with these gauges: writes them to the checkpoint for a
    /// successor.
    pub fn handle_published(&mut self, published: Gauges) {
        self.journal.sweep();
        self.write_checkpoint(self.sequence.next(), published);
        // The inherited gauges are in that share now.
        for crashed in &mut self.recovery.streams {
            crashed.rewrite(&self.journal, Default::default());
        }
    }

    /// Releases the slots of a pipeline that has ended.
    pub fn close(&mut self) {
        for crashed in std::mem::take(&mut self.recovery.streams) {
            self.journal.settle(&crashed.orphan);
        }
        self.journal.close();
    }

    /// Writes a checkpoint. `next`: the number that is given out next, or that was given out last
    /// and is in no batch yet.
    pub(super) fn write_checkpoint(&mut self, next: u64, gauges: Gauges) {
        let oldest = self.oldest_unsealed(next);
        let given_out = self.sequence.next();
        // A stream that only takes over may have no record, and one that ends makes few.
        let reserved = if given_out > 0 && !self.is_draining() {
            NUMBERS_PER_CHECKPOINT
        } else {
            0
        };

        let (unsettled, returns) = (self.oldest_unsettled(oldest), self.journal.returns());

        self.journal.write(Checkpoint {
            oldest,
            unsettled,
            next: given_out,
            reserved_until: given_out + reserved,
            returns,
            gauges,
        });
    }

    /// The lowest number without a known end: in no batch, or in one of this stream.
    fn oldest_unsettled(&self, unsealed: u64) -> u64 {
        let own = self.batches().filter(|batch| batch.origin == self.origin());
        own.filter_map(|batch| batch.items().iter().map(|item| item.number).min())
            .fold(unsealed, u64::min)
    }

    /// The lowest number that is in no batch, and not reported as lost either; `next` if there is
    /// none.
    pub(super) fn oldest_unsealed(&self, next: u64) -> u64 {
        let waiting = Lane::ALL
            .into_iter()
            .filter_map(|lane| self.buffer.oldest(lane))
            .map(|record| record.number);
        let start = self.sequence.pending_start().map(|start| start.number);
        waiting
            .chain(start)
            .chain(self.losses.first_number())
            .fold(next, u64::min)
    }

    /// Takes over batch by batch, as long as there is room.
    pub(super) fn take_over_batches(&mut self, now: Now) {
        let mut streams = std::mem::take(&mut self.recovery.streams);
        for crashed in &mut streams {
            self.take_over_all(crashed, Room::Free, now);
        }

        // A VM that was a successor has batches of streams before it.
        if streams.iter().all(|crashed| crashed.is_complete) {
            self.stats.add(
                Counter::DroppedVmCrash,
                std::mem::take(&mut self.recovery.missing),
            );
            streams.retain(|crashed| {
                let is_held = self
                    .batches()
                    .any(|batch| batch.origin.stream_id == crashed.orphan.stream);
                let is_left = is_held || crashed.losses.oldest().is_some();
                if !is_left {
                    self.journal.settle(&crashed.orphan);
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

        while let Some(saved) = self.journal.next_saved(&mut crashed.orphan) {
            if !self.take_over(crashed, saved, room, now) {
                return;
            }
        }

        crashed.is_complete = true;
        if let Some(loss) = crashed.unaccounted(self.recovery.missing) {
            crashed.losses.add(loss, now.uptime);
            let (stream, Loss { first, last, .. }) = (crashed.orphan.stream, loss);
            let what = if crashed.orphan.damage.batches {
                "no batch, or in a damaged one,"
            } else {
                "no batch"
            };
            let text = format!(
                "takes over from stream {stream}, whose VM has crashed: what was in {what} is lost, some of the numbers \
                 {first} to {last}"
            );
            self.log(Level::Error, text);
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
        if batch.origin.stream_id == crashed.orphan.stream {
            crashed.sealed.extend(batch.ranges());
            crashed.apply_progress(batch.progress, self.settings.buffer.max_records as u64);
        }

        self.journal.take_over(&mut crashed.orphan, &mut batch);
        self.waiting.of_mut(batch.lane).push_back(batch);
        true
    }

    /// One batch at a time is taken over beyond the limits. It may be larger than this buffer, and
    /// a buffer that is always full must not block it for ever.
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
            } else if !self.buffer.try_occupy(lane, bytes) {
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

    /// Adds a loss of another stream. False: the stream is unknown.
    pub(super) fn add_foreign_loss(&mut self, stream: Uuid, loss: Loss, now: Now) -> bool {
        let Some(crashed) = self.recovery.find(stream) else {
            return false;
        };
        crashed.orphan.checkpoint.returns += 1;
        crashed.losses.add(loss, now.uptime);
        crashed.rewrite(&self.journal, crashed.checkpoint.gauges);
        true
    }

    /// A batch of another stream's losses, with its end, which follows all of its records.
    pub(super) fn seal_foreign_losses(&mut self, now: Now) -> Option<Batch> {
        let has_losses = |crashed: &Predecessor| crashed.losses.oldest().is_some();
        if !self.recovery.streams.iter().any(has_losses) {
            return None;
        }

        self.check_slots(now);
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
            crashed.rewrite(&self.journal, crashed.checkpoint.gauges);
        }

        Some(batch)
    }
}
