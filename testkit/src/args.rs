//! The command line of a test program that plays rows and prints a table, or of a benchmark: its
//! options, and those that cargo may pass.

/// Flags of cargo's test programs, which have no effect here, and those of them that take a value.
const CARGO_FLAGS: [&str; 10] = [
    "--bench",
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
const CARGO_OPTIONS: [&str; 5] = ["--test-threads", "--format", "--color", "--skip", "-Z"];

/// Picks rows in every program, as does a word that is not an option.
const ONLY: &str = "--only";

/// The options of one program in addition to `--only TEXT`.
#[derive(Debug)]
pub struct Known<'a> {
    /// Those without a value.
    pub flags: &'a [&'a str],
    /// Those with a value.
    pub options: &'a [&'a str],
}

/// The parsed command line.
#[derive(Debug, Default)]
pub struct CommandLine {
    flags: Vec<String>,
    options: Vec<(String, String)>,
}

impl CommandLine {
    /// Parses the words of a command line.
    ///
    /// # Errors
    /// The mistake in the command line.
    pub fn read(
        known: &Known<'_>,
        mut words: impl Iterator<Item = String>,
    ) -> Result<Self, String> {
        let mut line = Self::default();

        while let Some(word) = words.next() {
            let name = word.as_str();
            if name == ONLY || known.options.contains(&name) {
                let value = words
                    .next()
                    .ok_or_else(|| format!("{name} takes a value"))?;
                line.options.push((word, value));
            } else if known.flags.contains(&name) {
                line.flags.push(word);
            } else if CARGO_OPTIONS.contains(&name) {
                words.next();
            } else if !name.starts_with('-') {
                line.options.push((ONLY.to_owned(), word));
            } else if !CARGO_FLAGS.contains(&name) {
                return Err(format!("unknown argument {name}; {}", known.usage()));
            }
        }

        Ok(line)
    }

    /// The command line of a benchmark, and its options: numbers above 0, given with their defaults.
    ///
    /// # Panics
    /// With the mistake in the command line.
    pub fn of_benchmark<const N: usize>(defaults: [(&str, usize); N]) -> (Self, [usize; N]) {
        let known = Known {
            flags: &[],
            options: &defaults.map(|(name, _)| name),
        };
        let line = Self::read(&known, std::env::args().skip(1));
        let line = line.unwrap_or_else(|mistake| panic!("{mistake}"));

        let numbers = defaults.map(|(name, default)| {
            let number = line.number(name, 1, usize::MAX as u64);
            let number = number.unwrap_or_else(|mistake| panic!("{mistake}"));
            number.map_or(default, |number| number as usize)
        });
        (line, numbers)
    }

    /// Whether a flag was given.
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    /// The values of an option, one for each occurrence.
    pub fn values(&self, option: &str) -> impl Iterator<Item = &str> {
        self.options
            .iter()
            .filter(move |(name, _)| name == option)
            .map(|(_, value)| value.as_str())
    }

    /// The last value of an option as a number within these bounds.
    ///
    /// # Errors
    /// The mistake in the value.
    pub fn number(&self, option: &str, least: u64, most: u64) -> Result<Option<u64>, String> {
        let Some(value) = self.values(option).last() else {
            return Ok(None);
        };
        let number = value
            .parse()
            .ok()
            .filter(|number| (least..=most).contains(number));

        number
            .map(Some)
            .ok_or_else(|| format!("{option} takes a whole number from {least} to {most}"))
    }

    /// Whether a row with this text is picked. Without a choice, all are.
    pub fn picks(&self, row: &str) -> bool {
        self.values(ONLY).count() == 0 || self.values(ONLY).any(|part| row.contains(part))
    }
}

impl Known<'_> {
    fn usage(&self) -> String {
        let options = self.options.iter().map(|option| format!("{option} VALUE"));
        let names: Vec<String> = self
            .flags
            .iter()
            .map(|flag| (*flag).to_owned())
            .chain(options)
            .collect();
        format!("known are {ONLY} TEXT, {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known<'_> = Known {
        flags: &["--list"],
        options: &["--seconds"],
    };

    fn read(line: &str) -> Result<CommandLine, String> {
        CommandLine::read(&KNOWN, line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_program_has_its_own_options_and_cargo_its_own() {
        let line =
            read("--nocapture --test-threads 1 --list --seconds 3 --seconds 5 --only a b --skip c")
                .unwrap();
        assert!(line.has("--list") && !line.has("--nocapture"));
        assert_eq!(line.number("--seconds", 1, 9), Ok(Some(5)));
        assert_eq!(line.values(ONLY).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(
            [line.picks("xa"), line.picks("b"), line.picks("c")],
            [true, true, false]
        );
        assert!(read("").unwrap().picks("anything"));
        assert_eq!(read("").unwrap().number("--seconds", 1, 9), Ok(None));
    }

    #[test]
    fn mistakes_are_named() {
        let mistake = |line: &str| read(line).err().unwrap();
        assert_eq!(
            mistake("--second 3"),
            "unknown argument --second; known are --only TEXT, --list, --seconds VALUE"
        );
        assert_eq!(mistake("--seconds"), "--seconds takes a value");

        for value in ["0", "10", "x", "1.5"] {
            let number = read(&format!("--seconds {value}"))
                .unwrap()
                .number("--seconds", 1, 9);
            assert_eq!(
                number.unwrap_err(),
                "--seconds takes a whole number from 1 to 9"
            );
        }
    }
}
