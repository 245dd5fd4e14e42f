//! What an audit cluster that is down or hung costs on a real Envoy: memory, CPU time, and the time of users.
//! `benches/README.md` says how to read it.

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

mod args;
mod case;
mod latency;
mod memory;
mod processor;
mod progress;
mod subject;
mod users;

#[path = "../cost/cpu.rs"]
mod cpu;
#[path = "../cost/http1.rs"]
mod http1;
#[path = "../cost/http2.rs"]
mod http2;
#[path = "../cost/load.rs"]
mod load;
#[path = "../cost/quantile.rs"]
mod quantile;
#[path = "../cost/rows.rs"]
#[expect(dead_code, reason = "`cost` uses the other rows")]
mod rows;
#[path = "../cost/sink.rs"]
mod sink;
#[path = "../../tests/envoy/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the scenarios and the fault matrix use the rest")]
mod support;
#[path = "../cost/wire.rs"]
mod wire;

use args::{Args, Part};

// One thread: load generator and audit clusters share one core, Envoy has the other.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args = Args::read();
    if args.wants(Part::Memory) {
        memory::run(args.minutes).await;
    }
    if args.wants(Part::Cpu) {
        processor::run(args.rounds, args.requests).await;
    }
    if args.wants(Part::Latency) {
        latency::run(args.rounds, args.requests).await;
    }
}
