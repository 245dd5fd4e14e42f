//! Which callbacks the module has. Envoy makes each exported callback for every stream, so the lean
//! module has none on responses.

#![expect(
    unsafe_code,
    reason = "a name that is exported is unsafe, since it could be another's"
)]

use std::sync::atomic::{AtomicU8, Ordering};

/// 1 in a module with callbacks on responses. `tools/cut` leaves them out after the link and sets
/// the byte to 0; it finds it by this name. Atomic, so that the byte has a place of its own: equal
/// constants share theirs.
#[unsafe(no_mangle)]
static AUDIT_FILTER_HAS_RESPONSE_CALLBACKS: AtomicU8 = AtomicU8::new(1);

/// Whether this module has callbacks on responses.
pub(super) fn has_response_callbacks() -> bool {
    AUDIT_FILTER_HAS_RESPONSE_CALLBACKS.load(Ordering::Relaxed) != 0
}
