//! The adapter to proxy-wasm: translates host calls and decides nothing. Compiled for wasm32 only.
//!
//! There is no SDK between the host and the filter: the SDK exports every callback of the ABI, each a call for every
//! stream, and panics on answers that it does not know. What the filter needs is small: [`exports`] is called by the
//! host, [`imports`] calls it, [`contexts`] finds whose call it is.

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
#[cfg(not(feature = "lean"))]
mod response;
mod root_context;
mod vm;
mod worker;
