//! The same records in a table of ClickHouse, from the export of a collector.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testkit::tools::{last_line_of, root};

use crate::build::{Build, key};
use crate::state::State;
use crate::transfer;

/// Name of the database in a state, and of its only table.
pub const NAME: [&str; 2] = ["clickhouse", "table"];
/// Records that have been inserted.
const DONE: &str = "clickhouse/loaded";
/// Lines of the largest file between collector and ClickHouse.
const LINES: u64 = 500_000;

const PACKAGES: &str = "collector/tests/analyse/get-tool.sh";
const SCRIPT: &str = "collector/benches/growth/clickhouse.py";

/// An embedded ClickHouse with its data in the folder.
pub struct ClickHouse {
    packages: PathBuf,
    folder: PathBuf,
    lines: PathBuf,
}

impl ClickHouse {
    /// Installs it when it is missing.
    pub fn open(folder: &Path) -> Self {
        Self {
            packages: PathBuf::from(last_line_of(PACKAGES, &["chdb"])),
            folder: folder.join("clickhouse"),
            lines: folder.join("export.ndjson"),
        }
    }

    /// Its version.
    pub fn version(&self) -> String {
        self.run(&["version"])
    }

    /// Brings the table to the size of the ledger, and keeps the bytes of a record there: all, and
    /// those without what the ledger adds.
    pub fn fill(&self, state: &mut State, build: &mut Build, size: u64) {
        let mut done = state.get(DONE).unwrap_or_default() as u64;
        self.run(&["cut", &done.to_string()]);
        while done < size {
            let some = LINES.min(size - done);
            self.export(build, done, some);
            self.run(&["load", self.lines.to_str().unwrap()]);
            done += some;
            state.set(DONE, done as f64);
            fs::remove_file(&self.lines).unwrap();
        }

        let sizes = self.run(&["size"]);
        let sizes: Vec<f64> = sizes
            .split_whitespace()
            .map(|size| size.parse().unwrap())
            .collect();
        let [rows, bytes, of_ledger] = sizes[..] else {
            panic!("three numbers are expected: {sizes:?}");
        };
        assert_eq!(
            rows, size as f64,
            "ClickHouse has other rows than the ledger"
        );

        let [database, table] = NAME;
        let mut keep = |measure, value| state.set(&key(database, table, size, measure), value);
        keep("bytes", bytes / rows);
        keep("bytes as sent", (bytes - of_ledger) / rows);
    }

    fn export(&self, build: &mut Build, after: u64, records: u64) {
        let path = format!("/api/records?format=ndjson&after={after}&limit={records}");
        let mut file = BufWriter::new(File::create(&self.lines).unwrap());
        transfer::get(build.program().address, &path, &mut file).unwrap();
        file.flush().unwrap();
    }

    fn run(&self, arguments: &[&str]) -> String {
        // As the collector, it ends with this process.
        let output = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "python3"])
            .env("PYTHONPATH", &self.packages)
            .arg(root().join(SCRIPT))
            .arg(&self.folder)
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "ClickHouse failed: {arguments:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
