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

/// Limits how often repeated trouble is logged.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<Option<Instant>>);

impl Throttle {
    /// Whether the last time was [`QUIET`] ago or longer; then this is the new last time.
    pub fn is_due(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= QUIET);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_at_once_and_then_every_ten_seconds() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let due = |seconds| throttle.is_due(start + Duration::from_secs(seconds));
        assert_eq!(
            [0, 0, 9, 10, 11, 19, 40].map(due),
            [true, false, false, true, false, false, true]
        );
    }
}
