//! Command line of the fault matrix and of the soak.

use std::time::Duration;

use testkit::args::{CommandLine, Known};

const KNOWN: Known = Known {
    flags: &["--list"],
    options: &["--seconds", "--soak", "--seed", "--also"],
};

/// Default length of a row's load.
const SECONDS: u64 = 3;
/// An hour for a row, and a day for the soak.
const MAX_SECONDS: u64 = 3600;
const MAX_SOAK_SECONDS: u64 = 24 * 3600;
/// A shorter soak would end before every kind of trouble has come.
const MIN_SOAK_SECONDS: u64 = 30;

/// The parsed options.
pub struct Args {
    /// Length of a row's load.
    pub length: Duration,
    /// If set, the soak runs instead of the rows.
    pub soak: Option<Soak>,
    is_listing: bool,
    line: CommandLine,
}

/// A run with trouble of every kind.
pub struct Soak {
    pub length: Duration,
    /// Determines the sequence and the times of trouble.
    pub seed: u64,
    /// Names of the additional kinds of trouble, which come only on demand.
    pub also: Vec<String>,
}

impl Args {
    /// Parses the command line.
    pub fn read(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let line = CommandLine::read(&KNOWN, words)?;
        let seconds = line.number("--seconds", 1, MAX_SECONDS)?.unwrap_or(SECONDS);
        let soak = line
            .number("--soak", MIN_SOAK_SECONDS, MAX_SOAK_SECONDS)?
            .map(Duration::from_secs);
        let seed = line.number("--seed", 0, u64::MAX)?.unwrap_or_default();
        let also = line.values("--also").map(str::to_owned).collect();

        Ok(Self {
            length: Duration::from_secs(seconds),
            soak: soak.map(|length| Soak { length, seed, also }),
            is_listing: line.has("--list"),
            line,
        })
    }

    /// Whether the row with this name is selected.
    pub fn wants(&self, row: &str) -> bool {
        !self.is_listing && self.line.picks(row)
    }
}
