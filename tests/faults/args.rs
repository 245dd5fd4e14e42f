//! What the caller of the fault matrix and of the soak may write.

use std::time::Duration;

use crate::support::args::{CommandLine, Known};

const KNOWN: Known = Known {
    flags: &["--list"],
    options: &["--seconds", "--soak", "--seed", "--also"],
};

/// How long a row's load lasts unless the caller says so.
const SECONDS: u64 = 3;
/// An hour for a row, and a day for the soak.
const MAX_SECONDS: u64 = 3600;
const MAX_SOAK_SECONDS: u64 = 24 * 3600;
/// Shorter ones would end before every kind of trouble has come.
const MIN_SOAK_SECONDS: u64 = 30;

/// What the caller asks for.
pub struct Args {
    /// Length of a row's load.
    pub length: Duration,
    /// Instead of the rows.
    pub soak: Option<Soak>,
    is_listing: bool,
    line: CommandLine,
}

/// A run of trouble of every kind.
pub struct Soak {
    pub length: Duration,
    /// What happens, and when.
    pub seed: u64,
    /// Names of the kinds of trouble that come only when they are named.
    pub also: Vec<String>,
}

impl Args {
    /// Reads the command line, or says what is wrong with it.
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

    /// Whether the row with this name is to be played.
    pub fn wants(&self, row: &str) -> bool {
        !self.is_listing && self.line.picks(row)
    }
}
