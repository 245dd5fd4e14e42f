//! Half surrogates: JSON can escape one half of a pair, as JavaScript does for a text that was cut
//! within an emoji. It is no character, so a reader of text refuses the body with all its records.

/// Bytes of an escape, `\ud83d`.
const ESCAPE: usize = 6;

/// The escape of U+FFFD; it has as many bytes as the one that it replaces.
const REPLACEMENT: &[u8; ESCAPE] = br"\ufffd";

/// Replaces each half surrogate that is not one of a pair, in place: escaped ones, and those that
/// were encoded as if they were characters.
pub(super) fn replace_halves(json: &mut [u8]) {
    replace_encoded(json);

    let mut at = 0;
    while let Some(rest) = json.get_mut(at..) {
        let Some(next) = rest.iter().position(|byte| *byte == b'\\') else {
            return;
        };
        at += next + replace_at(rest.get_mut(next..).unwrap_or_default());
    }
}

/// Replaces a half surrogate at the beginning; returns how many bytes are done.
fn replace_at(text: &mut [u8]) -> usize {
    let Some(unit) = escaped(text) else {
        // Another escape, such as a backslash.
        return 2;
    };
    if !(0xd800..0xe000).contains(&unit) {
        return ESCAPE;
    }

    let second = text.get(ESCAPE..).and_then(escaped);
    if unit < 0xdc00 && second.is_some_and(|second| (0xdc00..0xe000).contains(&second)) {
        return 2 * ESCAPE;
    }
    if let Some(half) = text.first_chunk_mut() {
        *half = *REPLACEMENT;
    }
    ESCAPE
}

/// Whether there may be a half that was encoded as if it were a character.
pub(super) fn may_have_encoded(body: &[u8]) -> bool {
    body.windows(2)
        .any(|pair| matches!(pair, [0xed, 0xa0..=0xbf]))
}

/// Replaces those halves. UTF-8 has no sequence that begins with these two bytes.
pub(super) fn replace_encoded(text: &mut [u8]) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == 0xed) {
        rest = rest.get_mut(at..).unwrap_or_default();
        if let Some([_, 0xa0..=0xbf, 0x80..=0xbf]) = rest.first_chunk() {
            rest.iter_mut()
                .zip("\u{fffd}".bytes())
                .for_each(|(byte, new)| *byte = new);
        }
        rest = rest.get_mut(1..).unwrap_or_default();
    }
}

/// The code unit that `text` begins with, if it begins with `\u` and four hex digits.
fn escaped(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(br"\u")?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |unit, digit| {
        Some(unit * 16 + char::from(*digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_half_is_replaced_and_other_characters_are_not() {
        let mut json = b"\xed\x9f\xbf\xed\xa0\xbd\xed".to_vec();
        replace_halves(&mut json);
        assert_eq!(json, b"\xed\x9f\xbf\xef\xbf\xbd\xed");
    }

    #[test]
    fn halves_are_replaced_and_pairs_are_not() {
        for (sent, read) in [
            (r"Zo\ud83d", r"Zo\ufffd"),
            (r"\uDE00!", r"\ufffd!"),
            (r"\ud83d\ude00", r"\ud83d\ude00"),
            (r"\ud83d\ud83d\ude00\ude00", r"\ufffd\ud83d\ude00\ufffd"),
            (r"\ude00\ud83d", r"\ufffd\ufffd"),
            (r"\ud83d\n", r"\ufffd\n"),
            (r"\\ud83d", r"\\ud83d"),
            (r"\\\ud83d", r"\\\ufffd"),
            (r"\u00e9\ud83", r"\u00e9\ud83"),
            (r"\ud83d\u", r"\ufffd\u"),
            ("\\", "\\"),
            ("", ""),
        ] {
            let mut json = sent.as_bytes().to_vec();
            replace_halves(&mut json);
            assert_eq!(String::from_utf8(json).unwrap(), read, "{sent}");
        }
    }
}
