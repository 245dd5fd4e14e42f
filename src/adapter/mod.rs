//! The adapter to proxy-wasm: translates host calls and decides nothing. Compiled for wasm32 only.

mod clock;
#[cfg(feature = "crash-for-tests")]
mod crash;
mod ffi;
mod held;
mod hostcalls;
mod http_context;
mod metrics;
mod random;
mod root_context;
mod vm;

use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|id| Box::new(root_context::Root::new(id)));
}}
