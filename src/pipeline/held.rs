//! Everything the pipeline holds: waiting, prepared, in flight.

use super::Pipeline;
use super::batch::Batch;
use super::lane::Lane;
use super::window::{InFlight, Window};

impl Pipeline {
    pub(super) fn in_flight(&self) -> impl Iterator<Item = &InFlight> {
        self.windows.each().flat_map(Window::in_flight)
    }

    pub(super) fn batches(&self) -> impl Iterator<Item = &Batch> {
        let waiting = self.waiting.each().flatten();
        waiting
            .chain(self.prepared.as_ref())
            .chain(self.in_flight().map(|in_flight| &in_flight.batch))
    }

    /// Removes all batches: waiting, prepared and in flight.
    pub(super) fn take_batches(&mut self) -> Vec<Batch> {
        let in_flight = self
            .windows
            .each_mut()
            .flat_map(Window::take_all)
            .map(|in_flight| in_flight.batch);
        let waiting = self.waiting.each_mut().flat_map(std::mem::take);

        in_flight
            .chain(waiting)
            .chain(self.prepared.take())
            .collect()
    }

    /// Records that are neither acknowledged nor rejected nor dropped.
    pub(super) fn held_records(&self) -> u64 {
        let batched: usize = self.batches().map(|batch| batch.items().len()).sum();
        batched as u64 + self.unsealed_records() + self.recovery.records()
    }

    pub(super) fn unsealed_records(&self) -> u64 {
        let waiting: usize = Lane::ALL
            .into_iter()
            .map(|lane| self.buffer.waiting_records(lane))
            .sum();
        let start = usize::from(self.sequence.pending_start().is_some());
        (waiting + start) as u64
    }
}
