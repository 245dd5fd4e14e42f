//! The command line of the benchmarks.

/// The parsed command line.
pub struct Args {
    only: Vec<String>,
    numbers: Vec<(&'static str, usize)>,
}

impl Args {
    /// Reads `--only NAME[,NAME]` and these flags, given with their defaults. Ignores `--bench`,
    /// which cargo adds.
    pub fn read(numbers: &[(&'static str, usize)]) -> Self {
        let mut args = Self {
            only: Vec::new(),
            numbers: numbers.to_vec(),
        };

        let mut words = std::env::args().skip(1);
        while let Some(flag) = words.next() {
            match flag.as_str() {
                "--bench" => {}
                "--only" => {
                    args.only = words
                        .next()
                        .unwrap_or_default()
                        .split(',')
                        .map(str::to_owned)
                        .collect()
                }
                _ => args.set(&flag, words.next()),
            }
        }

        args
    }

    fn set(&mut self, flag: &str, word: Option<String>) {
        let known: Vec<&str> = self.numbers.iter().map(|(name, _)| *name).collect();
        let usage = format!(
            "known are --only NAME[,NAME], and with a number above 0 {}",
            known.join(", ")
        );

        let number = word
            .and_then(|word| word.parse().ok())
            .filter(|number| *number > 0);
        let slot = self.numbers.iter_mut().find(|(name, _)| *name == flag);
        let (Some((_, slot)), Some(number)) = (slot, number) else {
            panic!("{flag}: {usage}")
        };

        *slot = number;
    }

    pub fn number(&self, flag: &str) -> usize {
        self.numbers
            .iter()
            .find(|(name, _)| *name == flag)
            .expect("the flag has a default")
            .1
    }

    /// Whether the group or part with this name is to be measured.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }
}
