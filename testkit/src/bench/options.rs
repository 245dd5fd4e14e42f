//! The command line of a benchmark on a real Envoy, and its help.

use std::fmt::Write;
use std::process::exit;

use crate::args::{CommandLine, Known};

const HELP: &str = "--help";
const ONLY: &str = "--only";
/// Exit status after a mistake in the command line.
const MISTAKEN: i32 = 2;
/// Columns of an option in the help.
const WIDTH: usize = 18;

/// An option with a whole number above 0.
pub struct Count {
    /// With its dashes.
    pub name: &'static str,
    /// The number where the option is not given.
    pub default: usize,
    /// Half a sentence for the help.
    pub meaning: &'static str,
}

/// An option with a text. It may be given several times.
pub struct Text {
    /// With its dashes.
    pub name: &'static str,
    /// The text's name in the help.
    pub value: &'static str,
    /// Half a sentence for the help.
    pub meaning: &'static str,
}

/// A benchmark and its options.
pub struct Program<'a, const N: usize> {
    /// The name for cargo.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// What `--only` picks from: names and meanings.
    pub groups: &'a [(&'static str, &'static str)],
    /// Options with numbers.
    pub counts: [Count; N],
    /// Options with texts.
    pub texts: &'a [Text],
}

impl<const N: usize> Program<'_, N> {
    /// The command line of this process, and the numbers of [`Self::counts`].
    ///
    /// Prints the help and ends the process with status 0 for `--help`. Prints a mistake in the
    /// command line in one line, and ends it with status 2.
    pub fn read(&self) -> (CommandLine, [usize; N]) {
        match self.parse(std::env::args().skip(1)) {
            Ok((line, _)) if line.has(HELP) => {
                print!("{}", self.help());
                exit(0)
            }
            Ok(read) => read,
            Err(mistake) => fail(&mistake),
        }
    }

    fn parse(
        &self,
        words: impl Iterator<Item = String>,
    ) -> Result<(CommandLine, [usize; N]), String> {
        let counts = self.counts.iter().map(|count| count.name);
        let options: Vec<&str> = counts
            .chain(self.texts.iter().map(|text| text.name))
            .collect();
        let known = Known {
            flags: &[HELP],
            options: &options,
        };

        let line = CommandLine::read(&known, words)?;
        self.check_groups(&line)?;

        let mut numbers = [0; N];
        for (number, count) in numbers.iter_mut().zip(&self.counts) {
            let given = line.number(count.name, 1, usize::MAX as u64)?;
            *number = given.map_or(count.default, |given| given as usize);
        }
        Ok((line, numbers))
    }

    fn check_groups(&self, line: &CommandLine) -> Result<(), String> {
        let names: Vec<&str> = self.groups.iter().map(|(name, _)| *name).collect();
        let unknown = line
            .values(ONLY)
            .find(|text| !names.iter().any(|name| name.contains(text)));

        unknown.map_or(Ok(()), |text| {
            Err(format!(
                "{ONLY} {text}: no group's name contains it; known are {}",
                names.join(", ")
            ))
        })
    }

    fn help(&self) -> String {
        let mut help = format!(
            "{}\n\n    cargo bench --bench {} -- [OPTIONS]\n\nOptions:\n",
            self.about, self.name
        );

        let only = "only groups whose name contains TEXT; may be given several times";
        write_option(&mut help, &format!("{ONLY} TEXT"), only);
        for count in &self.counts {
            let meaning = format!("{} (default: {})", count.meaning, count.default);
            write_option(&mut help, &format!("{} N", count.name), &meaning);
        }
        for text in self.texts {
            write_option(
                &mut help,
                &format!("{} {}", text.name, text.value),
                text.meaning,
            );
        }
        write_option(&mut help, HELP, "this text");

        help.push_str("\nGroups:\n");
        for (name, meaning) in self.groups {
            write_option(&mut help, name, meaning);
        }
        help
    }
}

/// Prints a mistake in the command line, and ends the process with status 2.
pub fn fail(mistake: &str) -> ! {
    eprintln!("{mistake}; see {HELP}");
    exit(MISTAKEN)
}

fn write_option(help: &mut String, option: &str, meaning: &str) {
    let _ = writeln!(help, "    {option:<WIDTH$} {meaning}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: Program<'static, 1> = Program {
        name: "cost",
        about: "Measures.",
        groups: &[("plain", "ordinary requests"), ("http", "tracked ones")],
        counts: [Count {
            name: "--rounds",
            default: 20,
            meaning: "slices of each row",
        }],
        texts: &[Text {
            name: "--against",
            value: "WASM",
            meaning: "another build",
        }],
    };

    fn parse(line: &str) -> Result<(CommandLine, [usize; 1]), String> {
        PROGRAM.parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_help_names_every_option_and_group() {
        assert_eq!(
            PROGRAM.help(),
            "Measures.\n\
             \n    cargo bench --bench cost -- [OPTIONS]\n\
             \nOptions:\n    \
             --only TEXT        only groups whose name contains TEXT; may be given several times\n    \
             --rounds N         slices of each row (default: 20)\n    \
             --against WASM     another build\n    \
             --help             this text\n\
             \nGroups:\n    \
             plain              ordinary requests\n    \
             http               tracked ones\n"
        );
        assert!(parse("--help --bench").unwrap().0.has(HELP));
    }

    #[test]
    fn numbers_have_defaults_and_texts_are_kept() {
        let (line, numbers) = parse("--against a.wasm plain --against b.wasm --bench").unwrap();
        assert_eq!(numbers, [20]);
        assert_eq!(
            line.values("--against").collect::<Vec<_>>(),
            ["a.wasm", "b.wasm"]
        );
        assert_eq!([line.picks("plain"), line.picks("http")], [true, false]);
        assert_eq!(parse("--rounds 7").unwrap().1, [7]);
    }

    #[test]
    fn mistakes_are_named() {
        let mistake = |line: &str| parse(line).err().unwrap();
        assert_eq!(
            mistake("--only gprc"),
            "--only gprc: no group's name contains it; known are plain, http"
        );
        assert_eq!(
            mistake("--rounds 0"),
            format!("--rounds takes a whole number from 1 to {}", u64::MAX)
        );
        assert!(mistake("--round 3").starts_with("unknown argument --round; "));
    }
}
