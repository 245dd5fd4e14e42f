//! Polls with a deadline.

use std::time::{Duration, Instant};

/// Deadline for an effect.
pub const DEADLINE: Duration = Duration::from_secs(20);
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// Waits until `probe` yields a value. Panics with `what` after [`DEADLINE`].
#[track_caller]
pub fn eventually<T>(
    what: impl Into<String>,
    probe: impl FnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    wait(format!("{} (waited for at {caller})", what.into()), probe)
}

/// The clock of the scenarios.
#[expect(clippy::disallowed_methods, reason = "a deadline needs a clock")]
pub fn now() -> Instant {
    Instant::now()
}

async fn wait<T>(what: String, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = now() + DEADLINE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(now() < end, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(POLL).await;
    }
}
