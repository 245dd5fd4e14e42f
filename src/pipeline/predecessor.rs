//! A stream that another VM or an earlier configuration has left to this one.

use std::time::Duration;

use uuid::Uuid;

use super::batch::Progress;
use super::journal::{Damage, Estate, Journal, Note};
use super::loss::LossLedger;
use crate::record::{Loss, LossReason};
use crate::stats::Gauges;
use crate::wire::Origin;

/// A stream whose VM has crashed, or whose configuration has ended.
#[derive(Debug)]
pub(super) struct Predecessor {
    pub(super) estate: Estate,
    /// Its VM has crashed, so that it has no end of its own.
    pub(super) is_recovered: bool,
    /// Its note as it stands.
    pub(super) note: Note,
    /// Ranges of its numbers that have been found in batches.
    pub(super) sealed: Vec<(u64, u64)>,
    /// Whether all that was sealed has been found.
    pub(super) is_complete: bool,
    /// The number that its next loss record gets.
    pub(super) next: u64,
    pub(super) losses: LossLedger,
}

impl Predecessor {
    pub(super) fn crashed(estate: Estate) -> Self {
        let (note, next) = (estate.note, estate.note.lease_end);
        let (sealed, losses) = (Vec::new(), LossLedger::default());
        Self {
            estate,
            is_recovered: true,
            note,
            sealed,
            is_complete: false,
            next,
            losses,
        }
    }

    /// One that has handed over all it had, and whose next record gets the number `next`.
    pub(super) fn ended(estate: Estate, next: u64) -> Self {
        let (note, losses) = (estate.note, LossLedger::default());
        Self {
            estate,
            is_recovered: false,
            note,
            sealed: Vec::new(),
            is_complete: true,
            next,
            losses,
        }
    }

    pub(super) fn stream(&self) -> Uuid {
        self.estate.stream
    }

    /// How many of its records are lost and in no report yet, and the range of their numbers.
    pub(super) fn unreported(&self) -> (u64, Option<(u64, u64)>) {
        self.losses.extent()
    }

    pub(super) fn estate(&self) -> &Estate {
        &self.estate
    }

    /// What of the gauges is in no other share.
    pub(super) fn share(&self) -> Gauges {
        self.note.gauges
    }

    /// What has not been found by now will not be looked for any more.
    pub(super) fn abandon(&mut self, uptime: Duration) {
        if !std::mem::replace(&mut self.is_complete, true)
            && let Some(loss) = self.untold(u64::MAX)
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
            stream_id: self.estate.stream,
            recovered: self.is_recovered,
        }
    }

    /// A batch was found that was sealed after the last note, as far as numbers are concerned: what was in batches then may
    /// have been acknowledged, and their copies overwritten. `most_held`: records that a stream may have without an
    /// acknowledgement, and so the most that it can have made since.
    pub(super) fn see_progress(&mut self, progress: Progress, most_held: u64) {
        let is_note_damaged = self.estate.damage.note;
        let note = &mut self.estate.note;
        if is_note_damaged && progress.next > note.next {
            (note.next, note.lease_end, note.returns) =
                (progress.next, progress.next + most_held, progress.returns);
            self.next = note.lease_end;
        }
        if progress.returns == note.returns {
            note.oldest = note.oldest.max(progress.oldest);
        }
    }

    /// What is to be reported as lost: the numbers that may have been given out, and are in no batch. `None`: there are none.
    ///
    /// A batch that was refused had numbers that are not known: they are among those without a known end at the last note.
    /// `most`: more records are not missing.
    pub(super) fn untold(&mut self, most: u64) -> Option<Loss> {
        let sealed = std::mem::take(&mut self.sealed);
        let Note {
            oldest,
            unsettled,
            next: given_out,
            lease_end,
            ..
        } = self.estate.note;
        let Damage {
            note: is_note_damaged,
            batches: has_gaps,
        } = self.estate.damage;
        let given_out = if is_note_damaged {
            lease_end
        } else {
            given_out
        };
        let (mut number, mut count, mut first) =
            (if has_gaps { unsettled } else { oldest }, 0, None);
        while number < lease_end {
            // A batch and its halves may both be there, so that ranges overlap.
            if let Some((_, end)) = sealed
                .iter()
                .find(|(start, end)| (*start..=*end).contains(&number))
            {
                number = end + 1;
                continue;
            }
            let next = sealed
                .iter()
                .map(|(start, _)| *start)
                .filter(|start| *start > number)
                .fold(lease_end, u64::min);
            first.get_or_insert(number);
            // Which numbers were given out is known to the last note. The range covers those that may have been since.
            count += next.min(given_out).saturating_sub(number);
            number = next;
        }
        // What was acknowledged since the note is not missing.
        let count = if has_gaps && !is_note_damaged {
            count.min(most)
        } else {
            count
        };
        Some(Loss {
            reason: LossReason::VmCrash,
            count,
            first: first?,
            last: lease_end - 1,
        })
    }

    /// Takes another seat: the list of the old one was damaged.
    pub(super) fn seat_anew(&mut self, journal: &Journal) {
        journal.seat_anew(&mut self.estate);
        journal.rewrite(&self.estate, self.note);
    }

    /// Hands on what the next but one configuration needs. `gauges`: what no other share has yet.
    pub(super) fn rewrite(&mut self, journal: &Journal, gauges: Gauges) {
        let untold = (!self.is_complete).then_some(self.estate.note.oldest);
        let oldest = untold
            .into_iter()
            .chain(self.losses.first_number())
            .fold(self.next, u64::min);
        let next = if self.is_complete {
            self.next
        } else {
            self.estate.note.next
        };
        let Note {
            unsettled, returns, ..
        } = self.estate.note;
        let note = Note {
            oldest,
            unsettled,
            next,
            lease_end: self.next,
            returns,
            gauges,
        };
        if note != self.note {
            self.note = note;
            journal.rewrite(&self.estate, note);
        }
    }
}
