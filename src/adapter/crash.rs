//! Only with the feature `crash-for-tests`, which the shipped `.wasm` is built without: a request
//! header triggers a trap.

use crate::recorder::headers::Headers;

/// The triggering header; its value names the callback that traps: `headers` or `log`.
const HEADER: &str = "x-audit-crash-for-tests";

/// Traps as a defect would: no panic hook, no unwinding, no log line.
pub(super) fn trap_if_asked(headers: &Headers<'_>, callback: &str) {
    if headers.first(HEADER) == Some(callback.as_bytes()) {
        core::arch::wasm32::unreachable();
    }
}
