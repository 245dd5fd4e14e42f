//! Signs of life of an idle stream. Without them a store could not distinguish an idle proxy from a
//! killed one.

use super::Pipeline;
use super::batch::{Batch, Content};
use super::lane::Lane;
use crate::record::Event;
use crate::time::Now;

impl Pipeline {
    /// A batch leaves for the first time, or is acknowledged. Only the stream's own batches are
    /// signs of its life. Another attempt of a failing batch is not one.
    pub(super) fn mark_sent(&mut self, batch: &Batch, now: Now) {
        if batch.origin == self.origin() {
            self.sequence.last_sent = Some(now.uptime);
        }
    }

    /// A batch of one record, `audit.stream.alive`, if the stream has sent nothing for
    /// `stages.alive_interval`.
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

    /// Whether the stream goes on, was silent for the interval, and nothing is about to be sent.
    /// Unsealed records, batches in flight and retries in an outage are about to be sent. So an
    /// outage of any length leaves one sign of life. A batch that fails while others are
    /// acknowledged does not count: it may never be accepted.
    fn is_silent(&self, now: Now) -> bool {
        let (Some(interval), Some(sent)) = (self.settings.alive_interval, self.sequence.last_sent)
        else {
            return false;
        };
        now.uptime.saturating_sub(sent) >= interval
            && !self.is_draining()
            && self.unsealed_records() == 0
            && self.losses.oldest().is_none()
            && !self.is_about_to_send()
    }

    fn is_about_to_send(&self) -> bool {
        let in_outage =
            |lane: &Lane| self.windows.of(*lane).is_down() && !self.waiting.of(*lane).is_empty();
        self.in_flight().next().is_some() || Lane::ALL.iter().any(in_outage)
    }
}
