//! Records per second that `audit-collector verify` checks, from the start of the program to its
//! end.
//!
//!     cargo bench -p audit-collector --bench costs -- verify --records 1000000 --rounds 5

use std::process::Command;

use testkit::args::CommandLine;
use testkit::collector::{Postgres, binary, directory};
use testkit::{now, quantile};

/// Measures on both databases.
pub fn run() {
    let (_, numbers) = CommandLine::of_benchmark([("--records", 1_000_000), ("--rounds", 5)]);
    let [records, rounds] = numbers.map(|number| number as u64);

    measure(
        "SQLite",
        &crate::ledger::url(&crate::ledger::file(records)),
        records,
        rounds,
    );

    let server = Postgres::start();
    let url = server.new_database();
    crate::ledger::build(&url, records);
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
    let start = now();
    let output = Command::new(binary())
        .args(["verify", "--database", url])
        .current_dir(directory())
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
