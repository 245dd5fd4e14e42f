//! What the pipeline holds, wherever it is.

use super::Pipeline;
use super::batch::Batch;
use super::lane::Lane;
use super::window::{Flight, Window};

impl Pipeline {
    pub(super) fn flights(&self) -> impl Iterator<Item = &Flight> {
        self.windows.each().flat_map(Window::flights)
    }

    pub(super) fn batches(&self) -> impl Iterator<Item = &Batch> {
        let waiting = self.waiting.each().flatten();
        waiting
            .chain(self.staged.as_ref())
            .chain(self.flights().map(|flight| &flight.batch))
    }

    /// Takes all batches, wherever they are.
    pub(super) fn take_batches(&mut self) -> Vec<Batch> {
        let flights = self
            .windows
            .each_mut()
            .flat_map(Window::land_all)
            .map(|flight| flight.batch);
        let waiting = self.waiting.each_mut().flat_map(std::mem::take);
        flights.chain(waiting).chain(self.staged.take()).collect()
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
        let start = usize::from(self.stream.pending_start().is_some());
        (waiting + start) as u64
    }
}
