//! The command line: its own flags, and those of a test program that cargo may pass.

const USAGE: &str = "known are --only TEXT, --envoy VERSION, --write and --list";

/// Flags of cargo's own test programs, which mean nothing here, and those of them that take a value.
const FLAGS: [&str; 9] = [
    "--nocapture",
    "--no-capture",
    "--show-output",
    "--quiet",
    "-q",
    "--exact",
    "--ignored",
    "--include-ignored",
    "--test",
];
const OPTIONS: [&str; 5] = ["--test-threads", "--format", "--color", "--skip", "-Z"];

/// What the caller wants.
#[derive(Default)]
pub struct Args {
    /// Write the table into the document instead of comparing it.
    pub writes: bool,
    /// Play nothing.
    pub is_listing: bool,
    only: Vec<String>,
    versions: Vec<String>,
}

impl Args {
    /// Reads the command line, or says what is wrong with it.
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--only" => args.only.push(words.next().ok_or("--only takes a part of a row's text")?),
                "--envoy" => args.versions.push(words.next().ok_or("--envoy takes a version")?),
                "--write" => args.writes = true,
                "--list" => args.is_listing = true,
                flag if FLAGS.contains(&flag) => {}
                option if OPTIONS.contains(&option) => {
                    words.next();
                }
                unknown if unknown.starts_with('-') => return Err(format!("unknown argument {unknown}; {USAGE}")),
                filter => args.only.push(filter.to_owned()),
            }
        }
        Ok(args)
    }

    /// Whether a row with this text is to be played.
    pub fn wants(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| row.contains(part.as_str()))
    }

    /// Whether this Envoy is to be run.
    pub fn wants_envoy(&self, version: &str) -> bool {
        self.versions.is_empty() || self.versions.iter().any(|wanted| wanted == version)
    }
}
