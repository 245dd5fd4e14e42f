//! A large ledger, built once through the library, then opened by the program, which makes the
//! views.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit_collector::db::{Cell, Connection, open};
use audit_collector::ledger::chain::Head;
use audit_collector::ledger::store::encoder::Encoder;
use testkit::collector::Program;
use testkit::{cpu, now};

use crate::batch::{Batches, RECORDS};
use crate::rows::Rows;

const TARGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target");
/// Workers of the proxies that sent these records.
const STREAMS: u64 = 50;
/// The records span this time up to now.
const SPAN: Duration = Duration::from_secs(30 * 24 * 3600);
/// Batches per transaction: storing is not what these benchmarks measure.
const BATCHES_AT_ONCE: u64 = 1000;

/// The SQLite file with this many records, a multiple of 5000, in `target/`. Building it takes
/// long.
pub fn file(records: u64) -> PathBuf {
    let file = PathBuf::from(format!("{TARGET}/bench-{records}.db"));

    if !file.exists() {
        let unfinished = file.with_extension("unfinished");
        remove(&unfinished);
        build(&url(&unfinished), records);
        fs::rename(&unfinished, &file).unwrap();
        let key = |file: &Path| format!("{}.key", file.display());
        fs::rename(key(&unfinished), key(&file)).unwrap();
    }

    file
}

/// Its URL.
pub fn url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

fn remove(file: &Path) {
    for suffix in ["", "-wal", "-shm", ".key"] {
        let _ = fs::remove_file(format!("{}{suffix}", file.display()));
    }
}

/// Fills the new database at `url`, and makes its views.
pub fn build(url: &str, records: u64) {
    let start = now();
    fill(url, records);
    make_views(url);
    eprintln!("in {} s", start.elapsed().as_secs());
}

/// Fills the new database at `url` with rows alone.
pub fn fill(url: &str, records: u64) {
    let mut connection = open(url).unwrap().database.connect().unwrap();
    let texts = Batches::new(SPAN, (records / STREAMS).max(RECORDS));
    let (mut head, mut encoder) = (Head::START, Encoder::default());
    let batches = records / RECORDS;

    for first in (0..batches).step_by(BATCHES_AT_ONCE as usize) {
        let last = batches.min(first + BATCHES_AT_ONCE);
        connection.begin_write().unwrap();
        for index in first..last {
            // The streams take turns, as the workers of a proxy do.
            let rows = Rows::follow(&mut head, &texts.body(index % STREAMS, index / STREAMS));
            rows.store(&mut *connection, &mut encoder);
        }
        set_head(&mut *connection, head);
        connection.commit().unwrap();
        eprint!("\rbuilding: {} of {records} records ", last * RECORDS);
        std::io::stderr().flush().unwrap();
    }
}

fn set_head(connection: &mut dyn Connection, head: Head) {
    connection.execute("DELETE FROM head", &[]).unwrap();
    let cells = [Cell::Integer(head.position), Cell::Bytes(&head.hash)];
    connection
        .execute(
            "INSERT INTO head (id, position, hash) VALUES (1, $1, $2)",
            &cells,
        )
        .unwrap();
}

/// Runs the program until its views have caught up with the ledger.
fn make_views(url: &str) {
    let program = Program::start(url);
    cpu::settle(program.id());
    assert_eq!(program.terminate(), Some(0));
}
