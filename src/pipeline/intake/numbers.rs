//! Numbers are given out: dense, never twice, and covered by a checkpoint in the journal.

use super::Intake;
use crate::pipeline::batch::Progress;
use crate::pipeline::common::{Common, Draft};
use crate::pipeline::journal::{Checkpoint, Journal, NUMBERS_PER_CHECKPOINT};
use crate::pipeline::lane::Lane;
use crate::record::Event;
use crate::stats::Gauges;
use crate::time::Now;

impl Intake {
    /// Whether the next number needs a new checkpoint.
    pub(in crate::pipeline) fn has_used_up(&self, journal: &Journal) -> bool {
        self.sequence.next() >= journal.reserved_until()
    }

    /// The number of the next record. The stream's start precedes its first one.
    pub(super) fn begin_record(
        &mut self,
        common: &mut Common,
        journal: &mut Journal,
        now: Now,
    ) -> u64 {
        if !self.sequence.is_announced() {
            self.announce(common, journal, now);
        }
        self.sequence.reopen();
        self.next_number(common, journal)
    }

    /// Out of line, so that a record of a stream with a start costs one comparison.
    #[cold]
    pub(super) fn announce(&mut self, common: &mut Common, journal: &mut Journal, now: Now) {
        let number = self.next_number(common, journal);
        let event = Event::StreamStart(common.settings.stream_limits());
        let start = common.encode(number, &Draft::of_stream(event, now), now);
        self.sequence.announce(start);
    }

    /// Gives out a number. A new checkpoint is written first when the last one does not cover it.
    pub(super) fn next_number(&mut self, common: &Common, journal: &mut Journal) -> u64 {
        let number = self.sequence.next_number(&common.stats);
        if number >= journal.reserved_until() {
            self.write_checkpoint(number, journal.published_gauges(), common, journal);
        }
        number
    }

    /// Writes a checkpoint after a batch has ended without an acknowledgement.
    pub(in crate::pipeline) fn checkpoint(&self, common: &Common, journal: &mut Journal) {
        self.checkpoint_with(journal.published_gauges(), common, journal);
    }

    /// Writes a checkpoint with these published gauges.
    pub(in crate::pipeline) fn checkpoint_with(
        &self,
        gauges: Gauges,
        common: &Common,
        journal: &mut Journal,
    ) {
        self.write_checkpoint(self.sequence.next(), gauges, common, journal);
    }

    /// `next`: the number that is given out next, or that was given out last and is in no batch
    /// yet.
    fn write_checkpoint(&self, next: u64, gauges: Gauges, common: &Common, journal: &mut Journal) {
        let oldest = self.oldest_unsealed(next);
        let given_out = self.sequence.next();
        // A stream that only takes over may have no record, and one that ends makes few.
        let reserved = if given_out > 0 && !common.drain.has_begun() {
            NUMBERS_PER_CHECKPOINT
        } else {
            0
        };

        journal.write(Checkpoint {
            oldest,
            unsettled: journal.oldest_unsettled(oldest),
            next: given_out,
            reserved_until: given_out + reserved,
            returns: journal.returns(),
            gauges,
        });
    }

    /// The lowest number that is in no batch, and not reported as lost either; `next` if there is
    /// none.
    fn oldest_unsealed(&self, next: u64) -> u64 {
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

    /// How far the stream has come.
    pub(super) fn progress(&self, journal: &Journal) -> Progress {
        let next = self.sequence.next();
        Progress {
            next,
            oldest: self.oldest_unsealed(next),
            returns: journal.returns(),
        }
    }
}
