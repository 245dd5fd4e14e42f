//! The command line: which parts are measured, and for how long.

const USAGE: &str = "known are --only memory|cpu|latency, --minutes N, --rounds N and --requests N";

/// One of the three things that are measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Memory,
    Cpu,
    Latency,
}

/// What the caller asks for.
pub struct Args {
    only: Option<Part>,
    /// How long memory is watched under load.
    pub minutes: usize,
    /// Rounds of the two other parts.
    pub rounds: usize,
    /// Requests of a case in each round.
    pub requests: usize,
}

impl Args {
    /// Reads the command line; cargo adds a `--bench` of its own.
    pub fn read() -> Self {
        let mut args = Self { only: None, minutes: 5, rounds: 60, requests: 1000 };
        let mut words = std::env::args().skip(1);
        while let Some(flag) = words.next() {
            match flag.as_str() {
                "--only" => args.only = Some(part(words.next())),
                "--minutes" => args.minutes = number(&flag, words.next()),
                "--rounds" => args.rounds = number(&flag, words.next()),
                "--requests" => args.requests = number(&flag, words.next()),
                "--bench" => {}
                other => panic!("unknown argument {other}; {USAGE}"),
            }
        }
        args
    }

    pub fn wants(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}

fn part(word: Option<String>) -> Part {
    match word.as_deref() {
        Some("memory") => Part::Memory,
        Some("cpu") => Part::Cpu,
        Some("latency") => Part::Latency,
        _ => panic!("--only takes one part; {USAGE}"),
    }
}

fn number(flag: &str, word: Option<String>) -> usize {
    let number = word.and_then(|word| word.parse().ok()).filter(|number| *number > 0);
    number.unwrap_or_else(|| panic!("{flag} takes a number above 0"))
}
