//! How the cost of the filter grows with its work. How to read it: `benches/README.md`.

#![cfg(test)]
#![expect(unreachable_pub, reason = "a program has no public items")]

mod buffered;
mod curve;
mod groups;

use testkit::args::CommandLine;
use testkit::bench::measure::{Size, measure};
use testkit::bench::table;

// One thread: load generator, sink and upstream share one core, Envoy has the other.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (line, [rounds, requests]) =
        CommandLine::of_benchmark([("--rounds", 20), ("--requests", 2000)]);
    let size = Size { rounds, requests };
    println!("{size}\n");

    for group in groups::ALL.iter().filter(|group| line.picks(group.name)) {
        let measured = measure(group, size).await;
        table::print(&measured);
        curve::print(&measured);
    }

    if line.picks(buffered::NAME) {
        buffered::run(size.rounds).await;
    }
}
