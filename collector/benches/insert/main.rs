//! Records a second that the collector stores durably, against a bare loop of the same inserts in the same run.
//!
//!     cargo bench -p audit-collector --bench insert -- --rounds 9 --batches 60

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a benchmark prints, reads the clock, and ends at the first trouble"
)]

mod bare;
mod load;
mod report;

#[path = "../support/args.rs"]
mod args;
#[path = "../support/batch.rs"]
mod batch;
#[path = "../support/cpu.rs"]
mod cpu;
#[path = "../support/quantile.rs"]
mod quantile;
#[path = "../../tests/support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

use std::time::Duration;

use audit_collector::otlp::decode_json;
use bare::{Bare, Row, Sqlite};
use batch::{Batches, RECORDS};
use load::CONNECTIONS;
use report::Round;
use support::program::Program;
use tempfile::TempDir;

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    rounds: u64,
    /// Of every connection in a round.
    batches: u64,
}

fn main() {
    let [rounds, batches] = args::numbers([("--rounds", 9), ("--batches", 60)]);
    let size = Size { rounds, batches };
    let directory = TempDir::new().unwrap();
    let file = |name: &str| directory.path().join(name);
    let database = format!("sqlite://{}", file("collector.db").display());
    measure("SQLite", size, &database, &mut Sqlite::create(&file("bare.db")));
}

/// By turns one round of load and one of the bare loop, so that a busy neighbour hits both alike. The first is not counted.
fn measure(name: &str, size: Size, database: &str, bare: &mut impl Bare) {
    let texts = Batches::new(Duration::from_secs(3600), (size.rounds + 1) * size.batches * RECORDS);
    let program = Program::start(database);
    let mut rounds = Vec::new();
    for round in 0..=size.rounds {
        let first = round * size.batches;
        let rows = rows(&texts, first, size.batches);
        let load = load::round(&program, &texts, first, size.batches);
        rounds.push(Round { load, bare: bare.round(&rows) });
    }
    let records = CONNECTIONS * size.batches * RECORDS;
    report::print(name, records, rounds.get(1..).unwrap_or_default());
}

/// The rows of the same batches that the load sends, in the order of one connection after the other at each turn.
fn rows(texts: &Batches, first: u64, batches: u64) -> Vec<Vec<Row>> {
    let turns = (first..first + batches).flat_map(|index| (0..CONNECTIONS).map(move |stream| (stream, index)));
    let decode = |(stream, index)| decode_json(&texts.body(stream, index)).unwrap();
    turns.map(decode).map(|records| records.into_iter().map(Row::new).collect()).collect()
}
