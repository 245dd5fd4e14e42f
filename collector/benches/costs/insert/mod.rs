//! Records per second that the collector stores durably, compared with bare loops of the same
//! inserts in the same run.
//!
//!     cargo bench -p audit-collector --bench costs -- insert --rounds 9 --batches 60

mod bare;
mod load;
mod report;

use std::time::Duration;

use audit_collector::ledger::chain::Head;
use tempfile::TempDir;
use testkit::args::CommandLine;
use testkit::collector::{Postgres, Program};

use self::bare::Bare;
use self::load::CONNECTIONS;
use self::report::Round;
use crate::batch::{Batches, RECORDS};
use crate::rows::Rows;

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    rounds: u64,
    /// Per connection and round.
    batches: u64,
}

/// Measures on both databases.
pub fn run() {
    let (_, numbers) = CommandLine::of_benchmark([("--rounds", 9), ("--batches", 60)]);
    let [rounds, batches] = numbers.map(|number| number as u64);
    let size = Size { rounds, batches };
    on_sqlite(size);
    on_postgres(size);
}

fn on_sqlite(size: Size) {
    let directory = TempDir::new().unwrap();
    let url = |name: &str| format!("sqlite://{}/{name}.db", directory.path().display());
    measure("SQLite", size, &url("collector"), Bare::new(&url("bare")));
}

fn on_postgres(size: Size) {
    let server = Postgres::start();
    let bare = Bare::new(&server.new_database());
    measure("PostgreSQL", size, &server.new_database(), bare);
}

/// Alternates one round of load and one of the bare loop, so that a busy neighbour affects all
/// alike. The first round is not counted.
fn measure(name: &str, size: Size, database: &str, mut bare: Bare) {
    let texts = Batches::new(
        Duration::from_secs(3600),
        (size.rounds + 1) * size.batches * RECORDS,
    );

    let program = Program::start(database);
    let mut head = Head::START;
    let mut rounds = Vec::new();

    for round in 0..=size.rounds {
        let first = round * size.batches;
        let rows = rows(&mut head, &texts, first, size.batches);
        let load = load::round(&program, &texts, first, size.batches);
        rounds.push(Round {
            load,
            bare: bare.round(&rows),
        });
    }

    let records = CONNECTIONS * size.batches * RECORDS;
    report::print(name, records, rounds.get(1..).unwrap_or_default());
}

/// The rows of the batches that the load sends: at each turn, one connection after the other.
fn rows(head: &mut Head, texts: &Batches, first: u64, batches: u64) -> Vec<Rows> {
    let turns = (first..first + batches)
        .flat_map(|index| (0..CONNECTIONS).map(move |stream| (stream, index)));
    turns
        .map(|(stream, index)| Rows::follow(head, &texts.body(stream, index)))
        .collect()
}
