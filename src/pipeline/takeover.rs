//! Takeover from a crashed VM, and the orphans that a pipeline holds.
//!
//! 1. Crash: a trap ends the VM. Its slots stay in shared data with its last heartbeat.
//! 2. Reload: Envoy loads a VM in its place, on the same thread. Its first tick sends a message to
//!    the queue of each other VM in the directory (`adapter/vm.rs`). The message for the crashed VM
//!    arrives in this VM itself, which proves the crash.
//! 3. Claim: [`Takeover::claim`] writes this VM into the crashed one's entries with the same
//!    destination. Without such a message, [`Takeover::claim_gone`] claims all entries of the plugin
//!    in a VM that writes no heartbeat for 30 s, or for 2 s after the end of its configuration.
//!    Compare and swap lets one VM win.
//! 4. Resend: each tick copies batches to the own slot, as far as the buffer has room, and at least
//!    one at a time. They leave under their old ids, marked `audit.recovered`.
//! 5. Loss record: when all batches of the stream are found, its other numbers from `oldest` on are
//!    reported as `vm_crash`. `count` has those given out before the checkpoint; the range ends
//!    before `reserved_until`, which is the number of the loss record.
//! 6. Release: when all its batches have ended and all losses are reported, the slot is released.
//!
//! A claimant that crashes in between is taken over in the same way, with all slots it has claimed.
//! Orphans of the same VM come by [`Takeover::succeed`] and skip steps 1 to 5.

use uuid::Uuid;

use super::batch::{Batch, Content, Progress};
use super::buffer::Encoded;
use super::common::{Common, Draft};
use super::journal::{Journal, Listing, Orphan, Saved, SavedRecord, Slot};
use super::lane::Lane;
use super::notices::Level;
use super::predecessor::Predecessor;
use crate::record::{Event, Loss};
use crate::stats::{Counter, Gauge, Gauges, Stats};
use crate::time::Now;
use crate::wire::Origin;

/// The streams of crashed VMs and of predecessors, until nothing of them is left.
#[derive(Debug, Default)]
pub(super) struct Takeover {
    streams: Vec<Predecessor>,
    /// Records that the crashed VMs had counted as held, and that were not found yet. One sum for
    /// all streams: a VM that was a successor had counted those of the streams before it.
    missing: u64,
}

impl Takeover {
    /// Whether everything of crashed VMs was taken over and reported.
    pub(super) fn is_done(&self) -> bool {
        self.streams
            .iter()
            .all(|crashed| crashed.is_complete && crashed.losses.oldest().is_none())
    }

    /// Records of crashed VMs that are counted as held, and were not found yet.
    pub(super) fn missing_records(&self) -> u64 {
        self.missing
    }

    /// The streams that were taken over.
    pub(super) fn streams(&self) -> &[Predecessor] {
        &self.streams
    }

    fn find(&mut self, stream: Uuid) -> Option<&mut Predecessor> {
        self.streams
            .iter_mut()
            .find(|crashed| crashed.orphan.stream == stream)
    }

    /// A VM has crashed. Claims its streams with the same destination; their batches follow with
    /// the next ticks.
    pub(super) fn claim(&mut self, vm: Uuid, journal: &Journal, stats: &Stats) {
        for orphan in journal.claim(vm) {
            self.adopt(orphan, stats);
        }
    }

    /// Claims the slots of VMs that are gone.
    pub(super) fn claim_gone(
        &mut self,
        gone: impl Iterator<Item = Slot>,
        journal: &Journal,
        common: &mut Common,
    ) {
        for orphan in gone.flat_map(|slot| journal.claim_seen(slot)) {
            let (stream, records) = (
                orphan.stream,
                Gauge::BufferRecords.of(&orphan.checkpoint.gauges),
            );
            common.notices.log(
                Level::Info,
                format!("takes over {records} records of stream {stream}, whose VM is gone"),
            );
            self.adopt(orphan, &common.stats);
        }
    }

    /// Takes over the gauges and the batches of a stream of another VM.
    fn adopt(&mut self, orphan: Orphan, stats: &Stats) {
        stats.inherit(orphan.checkpoint.gauges);
        self.missing += Gauge::BufferRecords.of(&orphan.checkpoint.gauges);
        self.streams.push(Predecessor::crashed(orphan));
    }

    /// Takes over from a stream of the same VM that has ended, and all that it had taken over.
    /// `next`: the number that its next record gets.
    pub(super) fn succeed(&mut self, orphan: Orphan, next: u64, others: Self, journal: &Journal) {
        self.missing += others.missing;
        self.streams.extend(others.streams);
        let mut predecessor = Predecessor::ended(orphan, next);
        predecessor.rewrite(journal, Gauges::default());
        self.streams.push(predecessor);

        for predecessor in &self.streams {
            journal.adopt(predecessor.orphan());
        }
    }

    /// The statistics were published: the inherited gauges are in the share of this stream now.
    pub(super) fn handle_published(&mut self, journal: &Journal) {
        for crashed in &mut self.streams {
            crashed.rewrite(journal, Gauges::default());
        }
    }

    /// Releases all slots.
    pub(super) fn close(&mut self, journal: &Journal) {
        for crashed in std::mem::take(&mut self.streams) {
            journal.settle(&crashed.orphan);
        }
    }

    /// How many streams were taken over.
    pub(super) fn count(&self) -> usize {
        self.streams.len()
    }

    /// The next batch of the stream with this index that was not taken over.
    pub(super) fn next_saved(&mut self, index: usize, journal: &Journal) -> Option<Saved> {
        let crashed = self.streams.get_mut(index)?;
        if crashed.is_complete {
            return None;
        }
        journal.next_saved(&mut crashed.orphan)
    }

    /// Takes over the batch that [`Self::next_saved`] has yielded.
    pub(super) fn take(
        &mut self,
        index: usize,
        saved: Saved,
        common: &Common,
        journal: &mut Journal,
        now: Now,
    ) -> Option<Batch> {
        let crashed = self.streams.get_mut(index)?;
        let count = saved.records.len() as u64;
        let counted = count.min(self.missing);
        self.missing -= counted;
        common.stats.add(Counter::Captured, count - counted);

        let mut batch = reseal(saved, common, now);
        if batch.origin.stream_id == crashed.orphan.stream {
            crashed.sealed.extend(batch.ranges());
            let most_held = common.settings.buffer.max_records as u64;
            crashed.apply_progress(batch.progress, most_held);
        }

        journal.take_over(&mut crashed.orphan, &mut batch);
        Some(batch)
    }

    /// All batches of the stream with this index were found: its other numbers are lost.
    pub(super) fn complete(&mut self, index: usize, common: &mut Common, now: Now) {
        let Some(crashed) = self.streams.get_mut(index) else {
            return;
        };
        if std::mem::replace(&mut crashed.is_complete, true) {
            return;
        }

        if let Some(loss) = crashed.unaccounted(self.missing) {
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
            common.notices.log(Level::Error, text);
        }
    }

    /// Releases the slots of streams that have neither a batch nor a loss, once all batches of all
    /// streams were found: a VM that was a successor has batches of streams before it.
    pub(super) fn release_ended(
        &mut self,
        has_batch: impl Fn(Uuid) -> bool,
        journal: &Journal,
        stats: &Stats,
    ) {
        if !self.streams.iter().all(|crashed| crashed.is_complete) {
            return;
        }

        self.drop_missing(Counter::DroppedVmCrash, stats);
        self.streams.retain(|crashed| {
            let is_left = has_batch(crashed.stream()) || crashed.losses.oldest().is_some();
            if !is_left {
                journal.settle(&crashed.orphan);
            }
            is_left
        });
    }

    /// Counts the records that were not found as lost.
    pub(super) fn drop_missing(&mut self, reason: Counter, stats: &Stats) {
        stats.add(reason, std::mem::take(&mut self.missing));
    }

    /// Gives up what was not found and not delivered.
    pub(super) fn abandon(&mut self, stats: &Stats, now: Now) {
        self.drop_missing(Counter::DroppedAbandoned, stats);
        for crashed in &mut self.streams {
            crashed.abandon(now.uptime);
        }
    }

    /// The losses that no record will report.
    pub(super) fn take_unreported(&mut self) -> Vec<Loss> {
        self.streams
            .iter_mut()
            .flat_map(Predecessor::take_losses)
            .collect()
    }

    /// Adds a loss of another stream. False: the stream is unknown.
    #[must_use]
    pub(super) fn add_loss(
        &mut self,
        stream: Uuid,
        loss: Loss,
        journal: &Journal,
        now: Now,
    ) -> bool {
        let Some(crashed) = self.find(stream) else {
            return false;
        };
        crashed.orphan.checkpoint.returns += 1;
        crashed.losses.add(loss, now.uptime);
        crashed.rewrite(journal, crashed.checkpoint.gauges);
        true
    }

    /// Whether there are losses of other streams to report.
    pub(super) fn has_losses(&self) -> bool {
        self.streams
            .iter()
            .any(|crashed| crashed.losses.oldest().is_some())
    }

    /// A batch of another stream's losses, with its end, which follows all of its records.
    pub(super) fn seal_losses(
        &mut self,
        common: &mut Common,
        journal: &mut Journal,
        now: Now,
    ) -> Option<Batch> {
        let crashed = self
            .streams
            .iter_mut()
            .find(|crashed| crashed.losses.oldest().is_some())?;

        let losses = crashed.losses.take(common.settings.batch.max_records);
        let first = crashed.next;
        let has_end = !crashed.is_recovered;
        let end = first + losses.len() as u64;
        let next = end + u64::from(has_end);
        crashed.next = next;
        common.stats.add(Counter::Captured, next - first);

        let mut records = Vec::new();
        for (number, loss) in (first..).zip(losses) {
            let draft = Draft::of_stream(Event::Loss(loss), now);
            records.push((common.encode(number, &draft, now), Content::Loss(loss)));
        }
        if has_end {
            let draft = Draft::of_stream(Event::StreamEnd { next }, now);
            records.push((common.encode(end, &draft, now), Content::Lifecycle));
        }

        let progress = Progress {
            next,
            oldest: first,
            returns: 0,
        };
        let of = (crashed.origin(), progress);
        let batch = common.seal(of, Lane::Bulk, &records, journal);
        crashed.rewrite(journal, crashed.checkpoint.gauges);

        Some(batch)
    }

    /// Whether the stream with this index has lost its slot, since its directory was damaged.
    pub(super) fn is_void(&self, index: usize, listings: &[Listing], journal: &Journal) -> bool {
        let orphan = self.streams.get(index).map(Predecessor::orphan);
        orphan.is_some_and(|orphan| {
            journal.is_void(listings, orphan) && !journal.holds(listings, orphan)
        })
    }

    /// Acquires another slot for the stream with this index.
    pub(super) fn reacquire(&mut self, index: usize, journal: &Journal) {
        if let Some(crashed) = self.streams.get_mut(index) {
            crashed.reacquire(journal);
        }
    }

    /// Drops the streams that another VM has taken over. It counts their records to their end; so
    /// does this one, once more.
    pub(super) fn drop_claimed(&mut self, listings: &[Listing], journal: &Journal, stats: &Stats) {
        let is_claimed = |crashed: &mut Predecessor| {
            let orphan = crashed.orphan();
            !journal.holds(listings, orphan) && !journal.is_void(listings, orphan)
        };
        for lost in self.streams.extract_if(.., is_claimed) {
            stats.forfeit(lost.share());
            let records = Gauge::BufferRecords.of(&lost.share());
            stats.add(Counter::Captured, records);
        }
    }

    /// Writes a heartbeat to the slots of this stream and of those that were taken over.
    pub(super) fn write_heartbeat(&self, has_ended: bool, journal: &Journal) {
        journal.heartbeat(self.streams.iter().map(Predecessor::orphan), has_ended);
    }
}

fn reseal(saved: Saved, common: &Common, now: Now) -> Batch {
    let record = |record: SavedRecord| {
        let encoded = Encoded {
            number: record.number,
            made: now.uptime,
            lane: record.lane,
            fragment: record.fragment,
        };
        (encoded, record.content)
    };
    let records: Vec<(Encoded, Content)> = saved.records.into_iter().map(record).collect();
    let origin = Origin {
        stream_id: saved.stream,
        recovered: true,
    };

    Batch::seal(
        saved.id,
        origin,
        saved.progress,
        saved.lane,
        &records,
        &common.encoder,
    )
}
