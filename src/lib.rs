//! An audit filter for Envoy: it sees every HTTP request and gRPC call, and tells an audit cluster who did what.
//!
//! The crate never pauses, delays or changes user traffic, but for the control headers that it removes, and for rules
//! that demand a record before the request. It never forgets a record silently: each one ends acknowledged, rejected or
//! dropped with a reason, and the latter two are reported by a record of their own, also when the VM crashes. Its memory
//! is bounded. Its core knows no proxy, no clock and no randomness:
//! time and random bytes are parameters, so that everything but [`adapter`](self) runs in a native test.
//!
//! Modules in the order in which data flows: [`config`] sets up [`recorder`] (one exchange at a time) and
//! [`pipeline`] (one worker's records on their way); between them goes a [`record`]; [`wire`] writes it; [`host`] is
//! the port to the proxy, [`stats`] what is counted, [`quota`] what exchanges that go on may keep together, [`time`] moments, `writer` and
//! `json` how values become bytes.
//! `adapter` exists on wasm32 only.

#[cfg(any(target_arch = "wasm32", test))]
mod allocator;
pub mod config;
mod copy;
pub mod host;
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
