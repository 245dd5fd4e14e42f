//! A build of the collector with its ledger.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use testkit::collector::{Client, Postgres, Program, binary, directory};

use crate::database::{Database, Kind};
use crate::options::Options;

/// Name of the build of this working copy, and of the other one.
const NAMES: [&str; 2] = ["new", "against"];
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The program is started when it is needed.
pub struct Build {
    pub name: &'static str,
    program: PathBuf,
    key: PathBuf,
    pub database: Database,
    running: Option<Program>,
}

impl Build {
    /// One build, or both.
    pub fn all(options: &Options, server: Option<&Postgres>, kind: Kind) -> Vec<Self> {
        let programs = [Some(binary()), options.against.clone()]
            .into_iter()
            .flatten();
        let folder = &options.folder;
        let build = |(name, program): (&'static str, PathBuf)| Self {
            name,
            program,
            key: folder.join(format!("{}-{name}.key", kind.name())),
            database: Database::open(folder, server, name),
            running: None,
        };
        NAMES.into_iter().zip(programs).map(build).collect()
    }

    /// The running collector.
    pub fn program(&mut self) -> &Program {
        let (path, url, key) = (&self.program, self.database.url(), &self.key);
        self.running.get_or_insert_with(|| {
            // It ends with this process, however that ends: the next run needs the ledger.
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL"]).arg(path);
            command.args(["--listen", "127.0.0.1:0", "--log-level", "error"]);
            // The records are older than a sender's would be, and a question may take long.
            command.args(["--skew-behind", "3650d", "--query-timeout", "1h"]);
            command.args(["--database", &url, "--signing-key"]).arg(key);
            Program::start_by(&mut command)
        })
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        if let Some(program) = self.running.take() {
            assert_eq!(program.terminate(), Some(0), "{}", self.name);
        }
    }

    /// A connection that waits long for answers.
    pub fn client(&mut self) -> Client {
        self.program().client().patient(PATIENCE).unwrap()
    }

    /// Records that the ledger has.
    pub fn records(&mut self) -> u64 {
        let answer = self.client().get("/api/streams?summary=true").unwrap();
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        answer["records"].as_u64().unwrap()
    }

    /// Peak memory of the running program in bytes (`proc(5)`).
    pub fn peak(&mut self) -> u64 {
        let status = format!("/proc/{}/status", self.program().id());
        let status = fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes: u64 = line
            .unwrap()
            .trim()
            .strip_suffix(" kB")
            .unwrap()
            .parse()
            .unwrap();
        kibibytes * 1024
    }

    /// The command `verify` on its ledger.
    pub fn verify(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args([
                "verify",
                "--database",
                &self.database.url(),
                "--signing-key",
            ])
            .arg(&self.key)
            .current_dir(directory());
        command
    }

    /// Where its measurement of a size is kept.
    pub fn key(&self, kind: Kind, size: u64, measure: &str) -> String {
        key(kind.name(), self.name, size, measure)
    }
}

/// Where a measurement is kept.
pub fn key(database: &str, build: &str, size: u64, measure: &str) -> String {
    format!("{database}/{build}/{size}/{measure}")
}

/// Names of the builds that are measured.
pub fn names(against: Option<&Path>) -> &'static [&'static str] {
    if against.is_some() {
        &NAMES
    } else {
        &NAMES[..1]
    }
}
