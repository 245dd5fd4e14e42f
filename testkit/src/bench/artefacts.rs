//! The `.wasm` files under comparison, each built once.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::tools;

/// The filter with every feature.
pub fn full() -> &'static Path {
    tools::wasm()
}

/// The filter without callbacks on responses.
pub fn lean() -> &'static Path {
    tools::lean_wasm()
}

/// Another build of the filter, such as the one before a change: `AUDIT_FILTER_OTHER`.
pub fn other() -> Option<PathBuf> {
    std::env::var_os("AUDIT_FILTER_OTHER").map(PathBuf::from)
}

/// The filter that does nothing.
pub fn do_nothing() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| tools::built("do-nothing"))
}

/// The filter that makes host calls and nothing else.
pub fn bare_calls() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| tools::built("bare-calls"))
}
