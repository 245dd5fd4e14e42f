//! The command line.

use std::path::PathBuf;

use testkit::args::{CommandLine, Known};
use testkit::tools;

use crate::database::Kind;

/// How much is measured, of which builds, and where.
pub struct Options {
    /// Of the largest ledger.
    pub records: u64,
    /// How often a question is repeated.
    pub rounds: u64,
    /// Databases and finished measurements.
    pub folder: PathBuf,
    /// Another build of the collector.
    pub against: Option<PathBuf>,
    pub databases: Vec<Kind>,
    pub has_clickhouse: bool,
}

const RECORDS: u64 = 10_000_000;
const LEAST_RECORDS: u64 = 100_000;
const ROUNDS: u64 = 9;
const CLICKHOUSE: &str = "clickhouse";

impl Options {
    /// Those of this process.
    pub fn read() -> Self {
        let known = Known {
            flags: &[],
            options: &[
                "--records",
                "--rounds",
                "--folder",
                "--against",
                "--databases",
            ],
        };
        let line = CommandLine::read(&known, std::env::args().skip(1));
        let line = line.unwrap_or_else(|mistake| panic!("{mistake}"));

        let number = |name, least, default| {
            let number = line.number(name, least, u64::MAX);
            let number = number.unwrap_or_else(|mistake| panic!("{mistake}"));
            number.unwrap_or(default)
        };
        let last = |name| line.values(name).last();
        let names = last("--databases").unwrap_or("sqlite,postgres,clickhouse");
        let folder = last("--folder").map_or_else(
            || tools::target_directory().join("growth"),
            |folder| tools::root().join(folder),
        );

        Self {
            records: number("--records", LEAST_RECORDS, RECORDS),
            rounds: number("--rounds", 1, ROUNDS),
            folder,
            against: last("--against").map(|program| tools::root().join(program)),
            databases: databases(names),
            has_clickhouse: names.split(',').any(|name| name == CLICKHOUSE),
        }
    }
}

/// ClickHouse has no collector of its own, so it is not among them.
fn databases(names: &str) -> Vec<Kind> {
    let known = |name: &&str| *name != CLICKHOUSE;
    let kinds = names.split(',').filter(known).map(|name| {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        kind.unwrap_or_else(|| panic!("{name} is not sqlite, postgres or clickhouse"))
    });

    let kinds: Vec<_> = kinds.collect();
    assert!(
        !kinds.is_empty(),
        "ClickHouse gets its records from another database: add sqlite or postgres"
    );
    kinds
}
