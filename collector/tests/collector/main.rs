//! The collector from outside: its router on a temporary database, the program itself, and its
//! ledger.
#![cfg(test)]

mod access;
mod admission;
mod bad_input;
mod check_config;
mod check_forms;
mod check_requests;
mod common;
mod compression;
mod encodings;
mod export;
mod golden;
mod http2;
mod ingest;
mod ledger;
mod list;
mod lost_file;
mod metrics;
mod openapi;
mod paging;
mod process;
mod program;
mod random;
mod refusals;
mod rotation;
mod sdks;
mod sessions;
mod sockets;
mod store_trouble;
mod streams;
mod tls;
mod token_ref;
mod usage;
mod verdict;
mod views;
