//! The collector from outside: its router on a temporary database, and the program itself.
#![cfg(test)]

mod access;
mod admission;
mod bad_input;
mod common;
mod encodings;
mod golden;
mod ingest;
mod list;
mod metrics;
mod process;
mod program;
mod random;
mod refusals;
mod sockets;
mod store_trouble;
mod tls;
mod token_ref;
mod views;
