//! What the host calls besides the callbacks of the SDK's dispatcher.
//!
//! The SDK exports every callback of the proxy-wasm ABI 0.2.1. Envoy makes each one for every
//! stream, that of a body for every chunk, at some tenths of a microsecond each. So `tools/cut`
//! leaves out of the linked module what no configuration needs, and puts the functions below in
//! place of the dispatcher's callbacks of the same name.

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
    // The dispatcher's own callbacks.
    fn proxy_on_context_create(context: u32, root: u32);
    fn proxy_on_queue_ready(context: u32, queue: u32);
    fn proxy_on_done(context: u32) -> bool;
    fn proxy_on_delete(context: u32);
}

/// The host starts a root context again when two filters share it, and the dispatcher would panic.
#[unsafe(no_mangle)]
extern "C" fn audit_filter_on_context_create(context: u32, root: u32) {
    if root == 0 && !workers::is_new_root(context) {
        return;
    }
    // SAFETY: the dispatcher defines this function, and any two numbers are valid.
    unsafe { proxy_on_context_create(context, root) }
}

/// A message for a root context of a crashed VM reaches the VM in its place, where a stream may
/// have this id. The dispatcher would panic.
#[unsafe(no_mangle)]
extern "C" fn audit_filter_on_queue_ready(context: u32, queue: u32) {
    if workers::is_root(context) {
        // SAFETY: the dispatcher defines this function, and it knows the context.
        unsafe { proxy_on_queue_ready(context, queue) }
    }
}

/// The last call of a stream, so the dispatcher forgets it here. The callback for the deletion
/// would be one more call for each stream, and without it, where an operator forbids it, each
/// stream would stay. Of a root context that has ended, an empty one stays.
#[unsafe(no_mangle)]
extern "C" fn audit_filter_on_done(context: u32) -> bool {
    // SAFETY: the dispatcher defines both functions, and the host calls them in this order.
    unsafe {
        let is_done = proxy_on_done(context);
        if !workers::is_root(context) {
            proxy_on_delete(context);
        }
        is_done
    }
}
