//! Durations as text: `250ms`, `5s`, `1m`, `0.5s`.

use std::time::Duration;

use crate::time::nanos;

/// Suffixes and their length in nanoseconds; `ms` comes before `s`, since it also ends in `s`.
const UNITS: [(&str, u64); 4] = [
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3600 * 1_000_000_000),
];

/// Longest duration that is accepted: one year; longer ones are typing errors.
const MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Reads a duration; `None` when the text is not digits, an optional fraction and a unit.
///
/// In integers: the tables for reading floating point would be the largest part of the whole
/// module.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = UNITS
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit)))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }

    let nanos = whole
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)?
        .checked_add(part(fraction, unit))?;
    Some(Duration::from_nanos(nanos)).filter(|duration| *duration <= MAX)
}

/// Writes a duration in the largest unit of which it is a multiple.
///
/// Instead of its `Debug`, for the same reason.
pub(super) fn text(duration: Duration) -> String {
    let nanos = nanos(duration);
    let unit = UNITS
        .iter()
        .rev()
        .find(|(_, unit)| nanos > 0 && nanos.is_multiple_of(*unit));
    unit.map_or_else(
        || "0s".to_owned(),
        |(suffix, unit)| format!("{}{suffix}", nanos / unit),
    )
}

/// The decimals of a unit, cut at the nanosecond.
fn part(decimals: &str, unit: u64) -> u64 {
    let places = std::iter::successors(Some(unit / 10), |place| Some(place / 10));
    decimals
        .bytes()
        .zip(places)
        .map(|(digit, place)| u64::from(digit - b'0') * place)
        .sum()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_it_reads() {
        for written in ["1ms", "250ms", "1500ms", "5s", "10m", "1h", "8760h", "0s"] {
            assert_eq!(text(duration(written).unwrap()), written);
        }
    }

    #[test]
    fn reads_each_unit() {
        let cases = [
            ("250ms", Some(Duration::from_millis(250))),
            ("5s", Some(Duration::from_secs(5))),
            ("1m", Some(Duration::from_secs(60))),
            ("0.5s", Some(Duration::from_millis(500))),
            ("2h", Some(Duration::from_secs(7200))),
            ("1.25h", Some(Duration::from_secs(4500))),
            ("0.0000019ms", Some(Duration::from_nanos(1))),
            ("8760h", Some(MAX)),
            ("8760.1h", None),
            ("0s", Some(Duration::ZERO)),
            ("5", None),
            ("s", None),
            ("-5s", None),
            ("1e3s", None),
            ("5 s", None),
            (".5s", None),
            ("5.s", None),
            ("1.2.3s", None),
            ("999999h", None),
            ("99999999999999999999s", None),
            ("+5s", None),
            ("", None),
        ];

        for (text, expected) in cases {
            assert_eq!(duration(text), expected, "{text:?}");
        }
    }
}
