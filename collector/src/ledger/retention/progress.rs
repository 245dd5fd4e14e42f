//! Counts deleted rows, and logs them.

use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;
use tracing::info;

use crate::logs::QUIET;

/// What a pass has deleted since its last line.
pub(super) struct Progress {
    /// Of all passes.
    deleted: Counter,
    rows: u64,
    /// Position of the last deleted row.
    last: i64,
    /// When the pass began, or had its last line.
    since: Instant,
}

impl Progress {
    pub(super) fn new(deleted: Counter) -> Self {
        Self {
            deleted,
            rows: 0,
            last: 0,
            since: Instant::now(),
        }
    }

    /// A pass begins.
    pub(super) fn begin(&mut self) {
        self.since = Instant::now();
    }

    /// So many rows were deleted, up to position `last`. A long pass has a line every [`QUIET`].
    pub(super) fn add(&mut self, rows: usize, last: i64) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        self.deleted.inc_by(rows);
        self.rows = self.rows.saturating_add(rows);
        self.last = last;

        if self.since.elapsed() >= QUIET {
            self.log();
        }
    }

    /// The line at the end of a pass, if it deleted anything since the last one.
    pub(super) fn log(&mut self) {
        if self.rows > 0 {
            let (rows, last_position, count) = (self.rows, self.last, self.deleted.get());
            info!(rows, last_position, count, "retention deleted records");
        }
        self.rows = 0;
        self.since = Instant::now();
    }
}
