//! The cost of an audit cluster that is down or hung, on a real Envoy: memory, CPU time, and users'
//! time. How to read it: `benches/README.md`.

#![cfg(test)]
#![expect(unreachable_pub, reason = "a program has no public items")]

mod case;
mod latency;
mod memory;
mod processor;
mod subject;
mod users;

use testkit::args::CommandLine;
use testkit::bench::measure::Size;

// One thread: load generator and audit clusters share one core, Envoy has the other.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (line, [minutes, rounds, requests]) =
        CommandLine::of_benchmark([("--minutes", 5), ("--rounds", 60), ("--requests", 1000)]);
    let size = Size { rounds, requests };

    if line.picks("memory") {
        memory::run(minutes).await;
    }
    if line.picks("cpu") {
        processor::run(size).await;
    }
    if line.picks("latency") {
        latency::run(size).await;
    }
}
