//! Durations as text: `250ms`, `5s`, `1m`, `0.5s`.

use std::time::Duration;

/// Suffixes and their length in seconds; `ms` stands before `s`, which is its ending too.
const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// Longest duration that is accepted: one year; longer ones are typing errors.
const MAX_SECONDS: f64 = 365.0 * 24.0 * 3600.0;

/// Reads a duration; `None` when the text is not digits, an optional fraction and a unit.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, seconds) = UNITS.iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))?;
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !plain || !number.starts_with(|c: char| c.is_ascii_digit()) || number.ends_with('.') {
        return None;
    }
    let total = number.parse::<f64>().ok()? * seconds;
    (total <= MAX_SECONDS).then(|| Duration::from_secs_f64(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_unit() {
        let cases = [
            ("250ms", Some(Duration::from_millis(250))),
            ("5s", Some(Duration::from_secs(5))),
            ("1m", Some(Duration::from_secs(60))),
            ("0.5s", Some(Duration::from_millis(500))),
            ("2h", Some(Duration::from_secs(7200))),
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
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(duration(text), expected, "{text:?}");
        }
    }
}
