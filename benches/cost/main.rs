//! What the filter costs on a real Envoy, in CPU time per request. `benches/README.md` says how to read it.

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

mod bench;
mod cpu;
mod http1;
mod http2;
mod load;
mod quantile;
mod report;
mod rows;
mod sink;
mod wire;

#[path = "../../tests/envoy/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the scenarios and the fault matrix use the rest")]
mod support;

use std::io::Write;

use bench::Bench;

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    rounds: usize,
    requests: usize,
}

impl Size {
    /// Reads `--rounds N` and `--requests N`; cargo adds a `--bench` of its own.
    fn from_args() -> Self {
        let mut size = Self { rounds: 40, requests: 3000 };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let slot = match arg.as_str() {
                "--rounds" => &mut size.rounds,
                "--requests" => &mut size.requests,
                "--bench" => continue,
                other => panic!("unknown argument {other}; known are --rounds N and --requests N"),
            };
            let number = args.next().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
            *slot = number.unwrap_or_else(|| panic!("{arg} takes a number above 0"));
        }
        size
    }
}

// One thread: load generator, sink and upstream share one core, Envoy has the other.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let size = Size::from_args();
    let mut bench = Bench::start().await;
    bench.warm_up().await;
    for round in 0..size.rounds {
        eprint!("\rround {} of {} ", round + 1, size.rounds);
        std::io::stderr().flush().unwrap();
        bench.round(round, size.requests).await;
    }
    eprintln!();
    println!("{} rounds of {} requests a row; {}\n", size.rounds, size.requests, bench.cores);
    report::print(&bench.results().await);
    report::print_sizes(support::tools::wasm(), rows::do_nothing());
}
