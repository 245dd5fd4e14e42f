//! An audit filter for Envoy: it records HTTP requests and gRPC calls, and sends the records to an
//! audit cluster.
//!
//! The crate does not pause, delay or change user traffic. Exceptions are the control headers that
//! it removes, and rules that require a record before the request. No record is lost silently: each
//! one ends acknowledged, rejected or dropped with a reason. Rejected and dropped records are
//! reported by a separate record, also when the VM crashes. Memory is bounded. The core uses no
//! proxy, no clock and no randomness: time and random bytes are parameters. So everything but
//! [`adapter`](self) runs in a native test.
//!
//! Modules in the order in which data flows: [`config`] sets up [`recorder`] (one exchange at a
//! time) and [`pipeline`] (one worker's records in transit); [`recorder`] passes a [`record`] to
//! [`pipeline`]; [`wire`] writes it. [`host`] is the port to the proxy, [`stats`] has the counts,
//! [`quota`] the memory that ongoing exchanges share, [`time`] moments; [`instance`] the id of the
//! sender; `writer` and `json` turn values into bytes. `adapter` exists on wasm32 only.

#[cfg(any(target_arch = "wasm32", test))]
mod allocator;
pub mod config;
mod copy;
pub mod host;
pub mod instance;
mod json;
pub mod pipeline;
pub mod quota;
pub mod record;
pub mod recorder;
pub mod stats;
pub mod time;
pub mod wire;
mod writer;

#[cfg(target_arch = "wasm32")]
mod adapter;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator::new();
