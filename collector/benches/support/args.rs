//! Flags of a benchmark: names and numbers.

/// The value of each flag, from the command line or else the default given here. Cargo adds a
/// `--bench`, which is ignored.
pub fn numbers<const N: usize>(flags: [(&str, u64); N]) -> [u64; N] {
    let mut values = flags.map(|(_, default)| default);
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");

    while let Some(arg) = args.next() {
        let known = || flags.map(|(name, _)| format!("{name} N")).join(", ");
        let index = flags.iter().position(|(name, _)| *name == arg);
        let index =
            index.unwrap_or_else(|| panic!("unknown argument {arg}; known are {}", known()));

        let number = args
            .next()
            .and_then(|text| text.parse().ok())
            .filter(|number| *number > 0);
        values[index] = number.unwrap_or_else(|| panic!("{arg} takes a number above 0"));
    }

    values
}
