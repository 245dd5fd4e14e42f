//! Records per second that `audit-collector verify` checks, from the start of the program to its
//! end.
//!
//!     cargo bench -p audit-collector --bench verify -- --records 1000000 --rounds 5

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a benchmark prints, reads the clock, and ends at the first trouble"
)]

#[path = "support/args.rs"]
mod args;
#[path = "support/batch.rs"]
mod batch;
#[path = "support/cpu.rs"]
#[expect(dead_code, reason = "another benchmark uses the rest")]
mod cpu;
#[path = "support/ledger.rs"]
mod ledger;
#[path = "support/quantile.rs"]
mod quantile;
#[path = "support/rows.rs"]
mod rows;
#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

use std::process::Command;
use std::time::Instant;

use quantile::quantile;
use support::postgres::Postgres;
use support::program::{BINARY, DIRECTORY};

fn main() {
    let [records, rounds] = args::numbers([("--records", 1_000_000), ("--rounds", 5)]);

    measure(
        "SQLite",
        &ledger::url(&ledger::file(records)),
        records,
        rounds,
    );

    let server = Postgres::start();
    let url = server.new_database();
    ledger::build(&url, records);
    measure("PostgreSQL", &url, records, rounds);
}

fn measure(name: &str, url: &str, records: u64, rounds: u64) {
    let per_second: Vec<_> = (0..rounds).map(|_| records as f64 / verify(url)).collect();
    let [median, slowest] = [0.5, 0.0].map(|share| quantile(&per_second, share));
    println!(
        "{name}: {records} records, {rounds} rounds: {median:.0} records/s (median), {slowest:.0} (slowest)"
    );
}

/// Seconds of one run.
fn verify(url: &str) -> f64 {
    let start = Instant::now();
    let output = Command::new(BINARY)
        .args(["verify", "--database", url])
        .current_dir(DIRECTORY)
        .output()
        .unwrap();
    let elapsed = start.elapsed();

    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );

    elapsed.as_secs_f64()
}
