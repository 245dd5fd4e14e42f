//! The adapter to proxy-wasm: translates host calls and decides nothing. Compiled for wasm32 only.
//!
//! There is no SDK between the host and the filter. The SDK exports every callback of the ABI, each
//! a call per stream, and panics on unknown answers. The host calls [`exports`], [`imports`] calls
//! the host, and [`contexts`] finds the context of a call.

mod abi;
mod clock;
mod contexts;
#[cfg(feature = "crash-for-tests")]
mod crash;
mod exports;
mod held;
mod hostcalls;
mod http_context;
mod imports;
mod metrics;
mod random;
mod response;
mod root_context;
mod shape;
mod vm;
mod worker;
