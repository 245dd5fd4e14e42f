//! Command line of the table of protocols.

use testkit::args::{CommandLine, Known};

const KNOWN: Known = Known {
    flags: &["--write", "--list"],
    options: &["--envoy"],
};

/// The parsed options.
pub struct Args {
    /// Write the table into the document instead of comparing it.
    pub writes: bool,
    /// List the rows only.
    pub is_listing: bool,
    line: CommandLine,
}

impl Args {
    /// Parses the command line.
    pub fn read(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let line = CommandLine::read(&KNOWN, words)?;
        Ok(Self {
            writes: line.has("--write"),
            is_listing: line.has("--list"),
            line,
        })
    }

    /// Whether a row with this text is selected.
    pub fn wants(&self, row: &str) -> bool {
        self.line.picks(row)
    }

    /// Whether this Envoy version is selected.
    pub fn wants_envoy(&self, version: &str) -> bool {
        let mut versions = self.line.values("--envoy").peekable();
        versions.peek().is_none() || versions.any(|wanted| wanted == version)
    }
}
