//! How the cost of the filter grows with its work. How to read it: `benches/README.md`.

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

mod buffered;
#[path = "../common/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "other benchmarks and the scenarios use the rest"
)]
mod common;
mod curve;
mod groups;

use common::args::Args;
use common::bench::{Size, measure};
use common::table;

// One thread: load generator, sink and upstream share one core, Envoy has the other.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args = Args::read(&[("--rounds", 20), ("--requests", 2000)]);
    let size = Size::of(&args);
    println!("{size}\n");

    for group in groups::ALL.iter().filter(|group| args.wants(group.name)) {
        let measured = measure(group, size).await;
        table::print(&measured);
        curve::print(&measured);
    }

    if args.wants(buffered::NAME) {
        buffered::run(size.rounds).await;
    }
}
