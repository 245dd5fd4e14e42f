//! The VM's two clocks.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Now, nanos};

/// Reads both clocks: two WASI calls.
#[expect(clippy::disallowed_methods, reason = "this is the adapter: the one place that reads clocks")]
pub(super) fn now() -> Now {
    /// An `Instant` has no number of its own; the first reading in this VM is the origin.
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let instant = Instant::now();
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { unix_nanos: nanos(unix), uptime: instant.saturating_duration_since(*ORIGIN.get_or_init(|| instant)) }
}
