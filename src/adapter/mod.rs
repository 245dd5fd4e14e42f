//! The adapter to proxy-wasm: translates host calls and decides nothing. Compiled for wasm32 only.
//!
//! The SDK's dispatcher finds the context of a callback: [`root_context`] of a configuration or
//! [`stream`] of a request. Callouts are made by the SDK, too. [`imports`] has the host calls that
//! the SDK makes at a higher price or with a panic, [`exports`] what stands beside its callbacks.

mod capabilities;
mod clock;
#[cfg(feature = "crash-for-tests")]
mod crash;
mod exports;
mod held;
mod hostcalls;
mod http_context;
mod imports;
mod logger;
mod metrics;
mod random;
mod response;
mod root_context;
mod shape;
mod stream;
mod vm;
mod wasi;
mod watched;
mod worker;
mod workers;
