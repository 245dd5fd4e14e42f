//! The cost of an audit cluster that is down or hung, on a real Envoy: memory, CPU time, and users'
//! time. How to read it: `benches/README.md`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a benchmark prints, and ends at the first trouble"
)]

mod case;
#[path = "../common/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "other benchmarks and the scenarios use the rest"
)]
mod common;
mod latency;
mod memory;
mod processor;
mod subject;
mod users;

use common::args::Args;
use common::bench::Size;

// One thread: load generator and audit clusters share one core, Envoy has the other.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args = Args::read(&[("--minutes", 5), ("--rounds", 60), ("--requests", 1000)]);

    if args.wants("memory") {
        memory::run(args.number("--minutes")).await;
    }
    if args.wants("cpu") {
        processor::run(Size::of(&args)).await;
    }
    if args.wants("latency") {
        latency::run(Size::of(&args)).await;
    }
}
