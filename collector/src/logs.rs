//! Log lines: their form, and how often repeated trouble is logged.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::level_filters::LevelFilter;

/// Trouble of one kind is logged at most once in this time, with its count.
pub const QUIET: Duration = Duration::from_secs(10);

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Writes log lines to stderr from now on. To be called once.
pub fn init(form: Form, level: LevelFilter) {
    let lines = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_max_level(level);
    match form {
        Form::Text => lines.init(),
        Form::Json => lines.json().flatten_event(true).init(),
    }
}

/// Counts repeated trouble, and limits how often it is logged.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<Trouble>);

#[derive(Debug, Default)]
struct Trouble {
    count: u64,
    logged: Option<Instant>,
}

impl Throttle {
    /// Counts once more. Returns the count when a line is due: the first time, and then when the
    /// last line was [`QUIET`] ago or longer.
    pub fn count(&self, now: Instant) -> Option<u64> {
        let mut trouble = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.count += 1;

        let last = trouble.logged;
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= QUIET);
        is_due.then(|| {
            trouble.logged = Some(now);
            trouble.count
        })
    }
}

/// Trouble that begins, lasts and ends. Its first failure is logged, its end, and in between its
/// count at most once in [`QUIET`], also when it ends and begins again.
#[derive(Debug, Default)]
pub struct Outage {
    throttle: Throttle,
    /// Whether its end is to be logged, since its begin was.
    is_logged: bool,
}

impl Outage {
    /// One more failure. Returns how many there were, when a line is due.
    pub fn failed(&mut self, now: Instant) -> Option<u64> {
        let count = self.throttle.count(now);
        self.is_logged |= count.is_some();
        count
    }

    /// A success. Returns whether a line is due.
    pub fn succeeded(&mut self) -> bool {
        std::mem::take(&mut self.is_logged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_logged_at_once_and_then_every_ten_seconds() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let count = |seconds| throttle.count(start + Duration::from_secs(seconds));
        assert_eq!(
            [0, 0, 9, 10, 11, 19, 40].map(count),
            [Some(1), None, None, Some(4), None, None, Some(7)]
        );
    }

    #[test]
    fn an_outage_that_flaps_has_two_lines_in_ten_seconds() {
        let mut outage = Outage::default();
        let start = Instant::now();
        let mut lines = Vec::new();
        for seconds in 0..12 {
            lines.extend(outage.failed(start + Duration::from_secs(seconds)));
            if outage.succeeded() {
                lines.push(0);
            }
        }
        assert_eq!(lines, [1, 0, 11, 0]);
    }
}
