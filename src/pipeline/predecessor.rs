//! A stream that was left by another VM or by an earlier configuration.

use std::ops::Range;
use std::time::Duration;

use uuid::Uuid;

use super::batch::Progress;
use super::journal::{Checkpoint, Damage, Journal, Orphan};
use super::loss::LossLedger;
use crate::record::{Loss, LossReason};
use crate::stats::Gauges;
use crate::wire::Origin;

/// A stream of a crashed VM, or of a configuration that has ended.
#[derive(Debug)]
pub(super) struct Predecessor {
    pub(super) orphan: Orphan,
    /// Its VM has crashed, so it has no end record.
    pub(super) is_recovered: bool,
    /// Its checkpoint as last written.
    pub(super) checkpoint: Checkpoint,
    /// Ranges of its numbers that were found in batches.
    pub(super) sealed: Vec<(u64, u64)>,
    /// Whether all its sealed batches were found.
    pub(super) is_complete: bool,
    /// The number of its next loss record.
    pub(super) next: u64,
    pub(super) losses: LossLedger,
}

impl Predecessor {
    pub(super) fn crashed(orphan: Orphan) -> Self {
        let (checkpoint, next) = (orphan.checkpoint, orphan.checkpoint.reserved_until);
        let (sealed, losses) = (Vec::new(), LossLedger::default());

        Self {
            orphan,
            is_recovered: true,
            checkpoint,
            sealed,
            is_complete: false,
            next,
            losses,
        }
    }

    /// One that has handed over all its batches; its next record gets the number `next`.
    pub(super) fn ended(orphan: Orphan, next: u64) -> Self {
        let (checkpoint, losses) = (orphan.checkpoint, LossLedger::default());

        Self {
            orphan,
            is_recovered: false,
            checkpoint,
            sealed: Vec::new(),
            is_complete: true,
            next,
            losses,
        }
    }

    pub(super) fn stream(&self) -> Uuid {
        self.orphan.stream
    }

    /// How many of its losses are in no report yet, and the range of their numbers.
    pub(super) fn unreported(&self) -> (u64, Option<(u64, u64)>) {
        self.losses.extent()
    }

    pub(super) fn orphan(&self) -> &Orphan {
        &self.orphan
    }

    /// Its share of the gauges that is in no other share.
    pub(super) fn share(&self) -> Gauges {
        self.checkpoint.gauges
    }

    /// Gives up the search for batches that were not found yet.
    pub(super) fn abandon(&mut self, uptime: Duration) {
        if !std::mem::replace(&mut self.is_complete, true)
            && let Some(loss) = self.unaccounted(u64::MAX)
        {
            self.losses.add(
                Loss {
                    reason: LossReason::Abandoned,
                    ..loss
                },
                uptime,
            );
        }
    }

    /// Losses that no record reports yet.
    pub(super) fn take_losses(&mut self) -> Vec<Loss> {
        self.losses.take(usize::MAX)
    }

    pub(super) fn origin(&self) -> Origin {
        Origin {
            stream_id: self.orphan.stream,
            recovered: self.is_recovered,
        }
    }

    /// A batch was sealed after the last checkpoint. Batches from before may have been
    /// acknowledged, and their cells overwritten. `most_held`: the most unacknowledged records of a
    /// stream, and so the most numbers that it can have given out since.
    pub(super) fn apply_progress(&mut self, progress: Progress, most_held: u64) {
        let is_checkpoint_damaged = self.orphan.damage.checkpoint;
        let checkpoint = &mut self.orphan.checkpoint;
        if is_checkpoint_damaged && progress.next > checkpoint.next {
            (
                checkpoint.next,
                checkpoint.reserved_until,
                checkpoint.returns,
            ) = (progress.next, progress.next + most_held, progress.returns);
            self.next = checkpoint.reserved_until;
        }

        if progress.returns == checkpoint.returns {
            checkpoint.oldest = checkpoint.oldest.max(progress.oldest);
        }
    }

    /// The loss to report: numbers that may have been given out, and are in no batch. `None`: there
    /// are none.
    ///
    /// The numbers of a refused batch are unknown: they are among those without a known end at the
    /// last checkpoint. `most`: upper bound of the missing records.
    pub(super) fn unaccounted(&mut self, most: u64) -> Option<Loss> {
        let sealed = std::mem::take(&mut self.sealed);
        let Checkpoint {
            oldest,
            unsettled,
            next: given_out,
            reserved_until,
            ..
        } = self.orphan.checkpoint;
        let Damage {
            checkpoint: is_checkpoint_damaged,
            batches: has_gaps,
        } = self.orphan.damage;
        let given_out = if is_checkpoint_damaged {
            reserved_until
        } else {
            given_out
        };

        let begin = if has_gaps { unsettled } else { oldest };
        let (count, first) = missing(&sealed, begin..reserved_until, given_out);

        // Records that were acknowledged since the checkpoint are not missing.
        let count = if has_gaps && !is_checkpoint_damaged {
            count.min(most)
        } else {
            count
        };

        Some(Loss {
            reason: LossReason::VmCrash,
            count,
            first: first?,
            last: reserved_until - 1,
        })
    }

    /// Acquires another slot: the directory of the old one was damaged.
    pub(super) fn reacquire(&mut self, journal: &Journal) {
        journal.reacquire(&mut self.orphan);
        journal.rewrite(&self.orphan, self.checkpoint);
    }

    /// Writes its checkpoint for a later successor. `gauges`: its share that is in no other share.
    pub(super) fn rewrite(&mut self, journal: &Journal, gauges: Gauges) {
        let unaccounted = (!self.is_complete).then_some(self.orphan.checkpoint.oldest);
        let oldest = unaccounted
            .into_iter()
            .chain(self.losses.first_number())
            .fold(self.next, u64::min);
        let next = if self.is_complete {
            self.next
        } else {
            self.orphan.checkpoint.next
        };
        let Checkpoint {
            unsettled, returns, ..
        } = self.orphan.checkpoint;
        let checkpoint = Checkpoint {
            oldest,
            unsettled,
            next,
            reserved_until: self.next,
            returns,
            gauges,
        };

        if checkpoint != self.checkpoint {
            self.checkpoint = checkpoint;
            journal.rewrite(&self.orphan, checkpoint);
        }
    }
}

/// How many of these numbers are in no batch and below `given_out`, and the first that is in no
/// batch. `sealed`: first and last number of each batch.
fn missing(sealed: &[(u64, u64)], numbers: Range<u64>, given_out: u64) -> (u64, Option<u64>) {
    let (mut number, mut count, mut first) = (numbers.start, 0, None);
    while number < numbers.end {
        // A batch and its halves may both be found, so ranges may overlap.
        let holds = |(start, end): &&(u64, u64)| (*start..=*end).contains(&number);
        if let Some((_, end)) = sealed.iter().find(holds) {
            number = end + 1;
            continue;
        }

        let starts = sealed.iter().map(|(start, _)| *start);
        let next = starts
            .filter(|start| *start > number)
            .fold(numbers.end, u64::min);
        first.get_or_insert(number);
        // The last checkpoint has the numbers that were given out. The range also covers those
        // that may have been given out since.
        count += next.min(given_out).saturating_sub(number);
        number = next;
    }

    (count, first)
}
