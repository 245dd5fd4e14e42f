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
        waiting.chain(self.staged.as_ref()).chain(self.flights().map(|flight| &flight.batch))
    }

    /// Records that are neither acknowledged nor rejected nor dropped.
    pub(super) fn held_records(&self) -> u64 {
        let batched: usize = self.batches().map(|batch| batch.items().len()).sum();
        batched as u64 + self.unsealed_records() + self.recovery.records()
    }

    pub(super) fn unsealed_records(&self) -> u64 {
        let waiting: usize = Lane::ALL.into_iter().map(|lane| self.buffer.waiting_records(lane)).sum();
        let start = usize::from(self.stream.pending_start().is_some());
        (waiting + start) as u64
    }
}
