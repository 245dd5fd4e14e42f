//! JSON files. They are read as YAML, which contains JSON but for a detail.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// Whether a text is JSON.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Line and reason for which a text is not JSON.
pub(super) fn check(text: &str) -> Result<(), (usize, String)> {
    serde_json::from_str::<IgnoredAny>(text)
        .map(drop)
        .map_err(|error| (error.line(), format!("is not JSON: {error}")))
}

/// The same JSON with pairs of escaped surrogates as their characters: YAML has no such pairs.
pub(super) fn joined_surrogates(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u") {
        return Cow::Borrowed(text);
    }

    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let taken = match pair(escape) {
            Some(character) => {
                out.push(character);
                PAIR_BYTES
            }
            // The escape's letter may be a backslash.
            None => {
                out.extend(escape.chars().take(2));
                escape.chars().take(2).map(char::len_utf8).sum()
            }
        };
        rest = escape.get(taken..).unwrap_or_default();
    }

    out.push_str(rest);
    Cow::Owned(out)
}

/// Bytes of `\ud83d\ude00`.
const PAIR_BYTES: usize = 12;

fn pair(escape: &str) -> Option<char> {
    let unit = |at: usize| {
        let digits = escape.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let units = [unit(0)?, unit(6)?];
    char::decode_utf16(units)
        .next()?
        .ok()
        .filter(|character| *character > '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_surrogates_become_characters_and_nothing_else_changes() {
        for (text, expected) in [
            (r#""\ud83d\ude00""#, "\"\u{1f600}\""),
            (r#""\u00e9 \\ud83d\\ude00""#, r#""\u00e9 \\ud83d\\ude00""#),
            (r#""a\n\"""#, r#""a\n\"""#),
            (r#""\ud83d""#, r#""\ud83d""#),
        ] {
            assert_eq!(joined_surrogates(text), expected);
        }
    }
}
