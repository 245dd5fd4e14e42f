//! What the ledger costs as it grows: at 0.1, 1, 3 and 10 million records, in each database, of this
//! build and of another one. It drives the program from outside.
//!
//!     cargo bench -p audit-collector --bench growth -- --records 10000000 --against old-collector
//!
//! How to read it: `collector/benches/README.md`.
#![cfg(test)]
#![expect(unreachable_pub, reason = "a program has no public items")]

mod build;
mod clickhouse;
mod database;
mod ingest;
mod load;
mod machine;
mod measures;
mod options;
mod progress;
mod questions;
mod records;
mod report;
mod sizes;
mod state;
mod transfer;

use postgres::{Client, NoTls};
use testkit::collector::Postgres;

use self::build::Build;
use self::clickhouse::ClickHouse;
use self::database::Kind;
use self::options::Options;
use self::state::State;

fn main() {
    let options = Options::read();
    let mut state = State::open(&options);
    let clickhouse = options
        .has_clickhouse
        .then(|| ClickHouse::open(&options.folder));
    let version = |clickhouse: &ClickHouse| format!("ClickHouse {}", clickhouse.version());
    let mut servers: Vec<_> = clickhouse.iter().map(version).collect();

    for (place, kind) in options.databases.iter().enumerate() {
        let is_server = *kind == Kind::Postgres;
        let server = is_server.then(|| Postgres::kept_in(&options.folder.join(kind.name())));
        servers.extend(server.iter().map(describe));
        let mut run = Run {
            state: &mut state,
            kind: *kind,
            builds: Build::all(&options, server.as_ref(), *kind),
            rounds: options.rounds,
            // All databases have the same records, so those of the first do.
            clickhouse: clickhouse.as_ref().filter(|_| place == 0),
        };
        run.measure(&sizes::up_to(options.records));
    }

    machine::print(&options, &servers);
    report::print(&state, &options);
}

/// Version of a server, and the memory that its defaults give it.
fn describe(server: &Postgres) -> String {
    let mut client = Client::connect(&server.database("postgres"), NoTls).unwrap();
    let mut show = |name: &str| -> String {
        client
            .query_one(&format!("SHOW {name}"), &[])
            .unwrap()
            .get(0)
    };
    format!(
        "PostgreSQL {}, shared_buffers {}, max_wal_size {}",
        show("server_version"),
        show("shared_buffers"),
        show("max_wal_size")
    )
}

/// All builds on one database.
struct Run<'a> {
    state: &'a mut State,
    kind: Kind,
    builds: Vec<Build>,
    rounds: u64,
    clickhouse: Option<&'a ClickHouse>,
}

/// A step at a size, and the measurement that exists when it is finished.
type Step = (&'static str, &'static str, fn(&mut Run<'_>, u64));

const STEPS: [Step; 5] = [
    ("bytes", "bytes", |run, size| {
        measures::bytes(run.state, &mut run.builds, run.kind, size);
    }),
    ("questions", "first/streams", |run, size| {
        questions::measure(run.state, &mut run.builds, run.kind, size, run.rounds);
    }),
    ("exports", "peak of questions", |run, size| {
        measures::exports(run.state, &mut run.builds, run.kind, size);
        measures::peak(run.state, &mut run.builds, run.kind, size);
    }),
    ("verify", "verify", |run, size| {
        measures::verify(run.state, &mut run.builds, run.kind, size);
    }),
    ("one sender", "alone", |run, size| {
        ingest::alone(run.state, &mut run.builds, run.kind, size);
    }),
];

impl Run<'_> {
    fn measure(&mut self, sizes: &[u64]) {
        let mut start = 0;
        for &size in sizes {
            ingest::grow(self.state, &mut self.builds, self.kind, start..size);
            for (name, measure, act) in STEPS {
                if self.is_finished(size, measure) {
                    continue;
                }
                progress::step(self.kind, size, name);
                act(self, size);
            }
            self.fill_clickhouse(size);
            start = size + sizes::EXTRA;
        }

        for build in &mut self.builds {
            build.stop();
        }
    }

    fn is_finished(&self, size: u64, measure: &str) -> bool {
        let key = |build: &Build| build.key(self.kind, size, measure);
        self.builds
            .iter()
            .all(|build| self.state.get(&key(build)).is_some())
    }

    fn fill_clickhouse(&mut self, size: u64) {
        let [database, table] = clickhouse::NAME;
        let is_finished = self
            .state
            .get(&build::key(database, table, size, "bytes"))
            .is_some();
        if let (Some(clickhouse), Some(build), false) =
            (self.clickhouse, self.builds.first_mut(), is_finished)
        {
            progress::step(self.kind, size, "clickhouse");
            clickhouse.fill(self.state, build, size);
        }
    }
}
