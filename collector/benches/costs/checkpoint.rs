//! Milliseconds of a checkpoint over new rows, in a ledger of a thousand rows and in a large one,
//! taking turns; and what the tree of the large one takes on disk.
//!
//!     cargo bench -p audit-collector --bench costs -- checkpoint --records 1000000 --rounds 21

use std::sync::Arc;
use std::time::Duration;

use audit_collector::db::{Opened, open};
use audit_collector::ledger::checkpoint::Schedule;
use audit_collector::ledger::entry::{Entry, Skew};
use audit_collector::ledger::signing::Key;
use audit_collector::ledger::{Ledger, Settings};
use audit_collector::otlp::decode_json;
use testkit::args::CommandLine;
use testkit::collector::{Postgres, directory};
use testkit::{now, quantile};
use tokio::runtime::Runtime;

use crate::batch::Batches;

/// Rows of the small ledger.
const FEW: u64 = 1000;
/// The new rows of a checkpoint, one batch, span this time.
const SPAN: Duration = Duration::from_secs(60);

/// Measures on both databases.
pub fn run() {
    let (_, numbers) = CommandLine::of_benchmark([("--records", 1_000_000), ("--rounds", 21)]);
    let [records, rounds] = numbers.map(|number| number as u64);

    let files = tempfile::tempdir_in(directory()).unwrap();
    let url = |name: &str| format!("sqlite://{}", files.path().join(name).display());
    let pages = "SELECT SUM(pgsize) FROM dbstat WHERE name = 'tree'";
    measure(
        "SQLite",
        [url("few.db"), url("many.db")],
        records,
        rounds,
        pages,
    );

    let server = Postgres::start();
    let urls = [server.new_database(), server.new_database()];
    let relation = "SELECT pg_total_relation_size('tree')";
    measure("PostgreSQL", urls, records, rounds, relation);
}

fn measure(name: &str, urls: [String; 2], records: u64, rounds: u64, size: &str) {
    let runtime = Runtime::new().unwrap();
    let ledgers = urls.map(|url| open(&url).map(|opened| (url, opened)).unwrap());
    for ((url, opened), records) in ledgers.iter().zip([FEW, records]) {
        crate::ledger::fill(url, records);
        let took = checkpoint(&runtime, opened, Vec::new());
        println!("{name}: {records} records, the tree of all of them: {took:.1} ms");
    }

    let texts = Batches::new(SPAN, 1_000_000);
    let mut taken = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        for ((_, opened), taken) in ledgers.iter().zip(&mut taken) {
            let records = decode_json(&texts.body(1000, round)).unwrap().into_iter();
            let entries = records.map(|record| {
                let received_at = record.content.time_unix_nano;
                Entry::new(record, received_at, Skew::default())
            });
            taken.push(checkpoint(&runtime, opened, entries.collect()));
        }
    }

    let [few, many] = taken.map(|taken| [0.5, 1.0].map(|share| quantile(&taken, share)));
    println!(
        "{name}: a checkpoint over 100 new rows, {rounds} rounds: {:.2} ms behind {FEW} rows (worst {:.2}), {:.2} ms behind {records} (worst {:.2})",
        few[0], few[1], many[0], many[1]
    );
    let [(_, _), (_, many)] = &ledgers;
    let bytes = number(many, size);
    let share = bytes as f64 / records as f64;
    println!("{name}: the tree takes {bytes} bytes, {share:.2} a record");
}

/// Appends rows, and times the end of the ledger, which makes a checkpoint. Another connection stays
/// open: the last one of SQLite would move its log into the database.
fn checkpoint(runtime: &Runtime, opened: &Opened, entries: Vec<Entry>) -> f64 {
    let settings = Settings {
        strict: false,
        skew: Skew::default(),
        key: Arc::new(Key::load_or_create(&directory().join("checkpoints.key")).unwrap()),
        checkpoints: Schedule {
            records: i64::MAX,
            interval: Duration::from_secs(1_000_000),
        },
        query_timeout: Duration::from_secs(60),
        now: || 1_800_000_000_000_000_000,
    };

    let _other = opened.database.connect().unwrap();
    let ledger = Ledger::open(opened.database.clone(), settings, Vec::new()).unwrap();
    if !entries.is_empty() {
        runtime.block_on(ledger.append(entries)).unwrap();
    }
    let start = now();
    runtime.block_on(ledger.close()).unwrap();
    start.elapsed().as_secs_f64() * 1000.0
}

fn number(opened: &Opened, select: &str) -> i64 {
    let mut number = 0;
    let mut connection = opened.database.connect().unwrap();
    connection
        .query(select, &[], &mut |row| {
            number = row.integer(0)?.unwrap_or_default();
            Ok(())
        })
        .unwrap();
    number
}
