//! A large database, built once through the library and kept in `target/`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io::Write as _};

use audit_collector::otlp::decode_json;
use audit_collector::record::Record;
use audit_collector::store::open;

use crate::batch::{Batches, RECORDS};

const TARGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target");
/// Workers of the proxies whose records these are.
const STREAMS: u64 = 50;
/// The records are of this time up to now.
const SPAN: Duration = Duration::from_secs(30 * 24 * 3600);
/// Batches that are stored in one transaction: it is not the storing that is measured.
const BATCHES_AT_ONCE: u64 = 100;

/// The file with this many records, a multiple of 5000; takes long when it is not there yet.
pub fn of(records: u64) -> PathBuf {
    let file = PathBuf::from(format!("{TARGET}/bench-{records}.db"));
    if !file.exists() {
        let unfinished = file.with_extension("unfinished");
        remove(&unfinished);
        build(&unfinished, records);
        fs::rename(&unfinished, &file).unwrap();
    }
    file
}

pub fn url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

fn remove(file: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", file.display()));
    }
}

fn build(file: &Path, records: u64) {
    let start = Instant::now();
    let batches = records / RECORDS;
    let texts = Batches::new(SPAN, records / STREAMS);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(open(&url(file))).unwrap();
    for first in (0..batches).step_by(BATCHES_AT_ONCE as usize) {
        let some: Vec<_> =
            (first..batches.min(first + BATCHES_AT_ONCE)).flat_map(|index| decode(&texts, index)).collect();
        let received_at = some.last().map_or(0, |record| record.content.time_unix_nano);
        runtime.block_on(store.insert(&some, received_at)).unwrap();
        eprint!("\rbuilding {}: {} of {records} records ", file.display(), (first + BATCHES_AT_ONCE) * RECORDS);
        std::io::stderr().flush().unwrap();
    }
    runtime.block_on(store.close()).unwrap();
    eprintln!("in {} s", start.elapsed().as_secs());
}

/// The streams take turns, as the workers of a proxy do.
fn decode(texts: &Batches, index: u64) -> Vec<Record> {
    decode_json(&texts.body(index % STREAMS, index / STREAMS)).unwrap()
}
