//! What the host calls besides the callbacks of the SDK's dispatcher.
//!
//! The SDK exports every callback of the proxy-wasm ABI 0.2.1. Envoy makes each one for every
//! stream, that of a body for every chunk, at some tenths of a microsecond each. So `tools/cut`
//! leaves out of the linked module what no configuration needs. The deletion of contexts must stay:
//! only then the dispatcher forgets a stream.

#![expect(
    unsafe_code,
    reason = "an export is unsafe, since its name could be another's"
)]

use proxy_wasm::types::LogLevel;

use super::imports;
use super::logger;
use super::root_context::Root;
use super::workers;

proxy_wasm::main! {{
    std::panic::set_hook(Box::new(|panic| {
        imports::log(LogLevel::Critical, &panic.to_string());
    }));
    logger::install();
    proxy_wasm::set_root_context(|context| Box::new(Root::new(context)));
}}

unsafe extern "C" {
    /// The dispatcher's own callback.
    fn proxy_on_context_create(context: u32, root: u32);
}

/// Takes the place of the dispatcher's `proxy_on_context_create` in the linked module (`tools/cut`).
/// The host starts a root context again when two filters share it, and the dispatcher would panic.
#[unsafe(no_mangle)]
extern "C" fn audit_filter_on_context_create(context: u32, root: u32) {
    if root == 0 && !workers::is_new_root(context) {
        return;
    }
    // SAFETY: the dispatcher defines this function, and any two numbers are valid.
    unsafe { proxy_on_context_create(context, root) }
}
