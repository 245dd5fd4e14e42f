//! Records a second that `audit-collector verify` proves, from the start of the program to its end.
//!
//!     cargo bench -p audit-collector --bench verify -- --records 1000000 --rounds 5

#![expect(
    clippy::unwrap_used,
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
#[path = "support/ledger.rs"]
mod ledger;
#[path = "support/quantile.rs"]
mod quantile;
#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use quantile::quantile;
use support::program::BINARY;

fn main() {
    let [records, rounds] = args::numbers([("--records", 1_000_000), ("--rounds", 5)]);
    let file = ledger::of(records);
    let per_second: Vec<_> = (0..rounds).map(|_| records as f64 / verify(&file)).collect();
    let [median, slowest] = [0.5, 0.0].map(|share| quantile(&per_second, share));
    println!("SQLite: {records} records, {rounds} rounds: {median:.0} records/s (median), {slowest:.0} (slowest)");
}

/// Seconds that it takes.
fn verify(file: &Path) -> f64 {
    let start = Instant::now();
    let output = Command::new(BINARY).args(["verify", "--database", &ledger::url(file)]).output().unwrap();
    let elapsed = start.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    elapsed.as_secs_f64()
}
