//! Signs of life: a stream that has nothing to send says so now and then. A store that gets no more records of a stream can then distinguish a
//! proxy that was killed from one that is idle.

use super::Pipeline;
use super::batch::{Batch, Content};
use super::lane::Lane;
use crate::record::Event;
use crate::time::Now;

impl Pipeline {
    /// A batch leaves for the first time, or is acknowledged. Only the stream's own batches are signs of its life; another
    /// attempt of one that fails again and again is none.
    pub(super) fn note_sent(&mut self, batch: &Batch, now: Now) {
        if batch.origin == self.origin() {
            self.stream.last_sent = Some(now.uptime);
        }
    }

    /// A batch of one record, `audit.stream.alive`, if nothing of the stream was sent for `stages.alive_interval`.
    pub(super) fn seal_sign_of_life(&mut self, now: Now) -> Option<Batch> {
        if !self.is_silent(now) {
            return None;
        }
        let number = self.next_number();
        let event = Event::StreamAlive(self.settings.stream_limits());
        let record = self.encode(number, Lane::Bulk, now.unix_nanos, &event, now);
        Some(self.seal_records(
            self.origin(),
            self.progress(),
            Lane::Bulk,
            &[(record, Content::Lifecycle)],
        ))
    }

    /// Whether the stream goes on, was silent for long, and nothing is about to be sent. What waits for its batch, for an answer
    /// or, in an outage, for its next attempt is a sign of life to come, or leaves before one, so that an outage of any length
    /// leaves one such record. A batch that fails while others are acknowledged is none: it may never be taken.
    fn is_silent(&self, now: Now) -> bool {
        let (Some(interval), Some(sent)) = (self.settings.alive_interval, self.stream.last_sent)
        else {
            return false;
        };
        now.uptime.saturating_sub(sent) >= interval
            && !self.is_draining()
            && self.unsealed_records() == 0
            && self.losses.oldest().is_none()
            && !self.is_about_to_be_heard()
    }

    fn is_about_to_be_heard(&self) -> bool {
        let in_outage =
            |lane: &Lane| self.windows.of(*lane).is_down() && !self.waiting.of(*lane).is_empty();
        self.flights().next().is_some() || Lane::ALL.iter().any(in_outage)
    }
}
