//! How long the page takes to open, with ten million records in SQLite: the page, and its first
//! requests.
//!
//!     cargo bench -p audit-collector --bench costs -- page --records 10000000 --starts 20
//!
//! The database is built once. That takes long and needs about 2 GB in `target/` for each million.

use std::path::Path;
use std::process::Command;

use testkit::args::CommandLine;
use testkit::collector::Program;
use testkit::{now, quantile};

const PATHS: [&str; 5] = [
    "/",
    "/api/records?limit=50",
    "/api/streams",
    "/api/sessions?limit=20",
    "/api/usage",
];

/// Measures the first requests after a start.
pub fn run() {
    let (_, numbers) = CommandLine::of_benchmark([("--records", 10_000_000), ("--starts", 20)]);
    let [records, starts] = numbers.map(|number| number as u64);
    let file = crate::ledger::file(records);

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
    let program = Program::start(&crate::ledger::url(file));

    PATHS.map(|path| {
        let start = now();
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
