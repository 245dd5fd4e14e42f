//! Lines that show how far a run is.

use std::ops::Range;
use std::time::Instant;

use testkit::now;

use crate::database::Kind;

/// Progress to one size, over all builds.
pub struct Progress {
    kind: Kind,
    size: u64,
    todo: u64,
    done: u64,
    start: Instant,
}

impl Progress {
    /// `todo` is in records.
    pub fn new(kind: Kind, size: u64, todo: u64) -> Self {
        Self {
            kind,
            size,
            todo,
            done: 0,
            start: now(),
        }
    }

    /// These records were loaded by an earlier run.
    pub fn skip(&mut self, records: u64) {
        self.todo -= records;
    }

    /// A slice is loaded; `rate` in records a second.
    pub fn report(&mut self, build: &str, slice: &Range<u64>, rate: Option<f64>) {
        self.done += slice.end - slice.start;
        let left = (self.todo.saturating_sub(self.done)) as f64;
        let seconds = self.start.elapsed().as_secs_f64() * left / self.done as f64;

        let (database, size) = (self.kind.name(), self.size);
        let rate = rate.map_or_else(
            || "not measured".to_owned(),
            |rate| format!("{rate:.0} records/s"),
        );
        eprintln!(
            "{database} {build}: {} of {size} records, {rate}, {seconds:.0} s to this size",
            slice.end
        );
    }
}

/// A step of a size begins.
pub fn step(kind: Kind, size: u64, name: &str) {
    eprintln!("{} at {size} records: {name}", kind.name());
}
