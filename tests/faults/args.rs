//! The command line: its own two flags, and those of a test program that cargo may pass.

use std::time::Duration;

/// How long a row's load lasts unless the caller says so.
const SECONDS: f64 = 3.0;

const USAGE: &str = "known are --seconds N, --only TEXT and --list";

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

/// What the caller asks for.
pub struct Args {
    /// Length of a row's load.
    pub length: Duration,
    only: Vec<String>,
    is_listing: bool,
}

impl Args {
    /// Reads the command line, or says what is wrong with it.
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self { length: Duration::from_secs_f64(SECONDS), only: Vec::new(), is_listing: false };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--seconds" => args.length = length(words.next())?,
                "--only" => args.only.push(words.next().ok_or("--only takes a part of a row's name")?),
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

    /// Whether the row with this name is to be played.
    pub fn wants(&self, row: &str) -> bool {
        !self.is_listing && (self.only.is_empty() || self.only.iter().any(|part| row.contains(part.as_str())))
    }
}

fn length(word: Option<String>) -> Result<Duration, String> {
    let seconds = word.and_then(|word| word.parse::<f64>().ok()).filter(|seconds| (1.0..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "--seconds takes a number from 1 to 3600".to_owned())
}
