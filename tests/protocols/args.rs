//! What the caller of the table of protocols may write.

use crate::support::args::{CommandLine, Known};

const KNOWN: Known = Known {
    flags: &["--write", "--list"],
    options: &["--envoy"],
};

/// What the caller wants.
pub struct Args {
    /// Write the table into the document instead of comparing it.
    pub writes: bool,
    /// Play nothing.
    pub is_listing: bool,
    line: CommandLine,
}

impl Args {
    /// Reads the command line, or says what is wrong with it.
    pub fn read(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let line = CommandLine::read(&KNOWN, words)?;
        Ok(Self {
            writes: line.has("--write"),
            is_listing: line.has("--list"),
            line,
        })
    }

    /// Whether a row with this text is to be played.
    pub fn wants(&self, row: &str) -> bool {
        self.line.picks(row)
    }

    /// Whether this Envoy is to be run.
    pub fn wants_envoy(&self, version: &str) -> bool {
        let mut versions = self.line.values("--envoy").peekable();
        versions.peek().is_none() || versions.any(|wanted| wanted == version)
    }
}
