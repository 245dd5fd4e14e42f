//! How long the page takes to open, with ten million records in SQLite: the page, and its first
//! requests.
//!
//!     cargo bench -p audit-collector --bench page -- --records 10000000 --starts 20
//!
//! The database is built once. That takes long and needs about 2 GB in `target/` for each million.

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

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use quantile::quantile;
use support::program::Program;

const PATHS: [&str; 5] = [
    "/",
    "/api/records?limit=50",
    "/api/streams",
    "/api/sessions?limit=20",
    "/api/usage",
];

fn main() {
    let [records, starts] = args::numbers([("--records", 10_000_000), ("--starts", 20)]);
    let file = ledger::file(records);

    println!(
        "{records} records, {starts} starts with the file in the kernel's cache and {starts} without, milliseconds"
    );
    println!("{:<24} {:>17} {:>17}", "", "warm", "cold");
    println!(
        "{:<24} {:>8} {:>8} {:>8} {:>8}",
        "", "median", "worst", "median", "worst"
    );

    let cold: Vec<_> = (0..starts).map(|_| requests(&file, forget)).collect();
    let warm: Vec<_> = (0..starts).map(|_| requests(&file, |_| ())).collect();

    for (index, path) in PATHS.iter().enumerate() {
        let of = |starts: &[[f64; PATHS.len()]], share| {
            quantile(
                &starts.iter().map(|start| start[index]).collect::<Vec<_>>(),
                share,
            )
        };
        let [median, worst] = [0.5, 1.0].map(|share| of(&warm, share));
        let [cold_median, cold_worst] = [0.5, 1.0].map(|share| of(&cold, share));
        println!("{path:<24} {median:>8.1} {worst:>8.1} {cold_median:>8.1} {cold_worst:>8.1}");
    }
}

/// Milliseconds of each request, each on a new connection, the first ones after a start.
fn requests(file: &Path, before: impl FnOnce(&Path)) -> [f64; PATHS.len()] {
    before(file);
    let program = Program::start(&ledger::url(file));

    PATHS.map(|path| {
        let start = Instant::now();
        let answer = program.client().get(path).unwrap();
        let elapsed = start.elapsed();
        assert_eq!(
            answer.status,
            200,
            "{path}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        elapsed.as_secs_f64() * 1000.0
    })
}

/// Drops the file from the kernel's cache.
fn forget(file: &Path) {
    let file = format!("if={}", file.display());
    let status = Command::new("dd")
        .args([&file, "iflag=nocache", "count=0", "status=none"])
        .status()
        .unwrap();
    assert!(status.success());
}
