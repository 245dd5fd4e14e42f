//! The collector from outside: its router on a temporary database, and the program itself.
#![cfg(test)]

mod common;
mod golden;
mod ingest;
mod list;
mod program;
mod refusals;
mod store_trouble;
mod token_ref;
