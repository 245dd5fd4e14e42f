//! JSON text written straight into a string: nothing but what records and contexts need.

/// Writes a string from raw bytes; what is not UTF-8 becomes U+FFFD.
pub(crate) fn push_text(out: &mut String, bytes: &[u8]) {
    out.push('"');
    push_inside(out, bytes);
    out.push('"');
}

/// Writes raw bytes inside a string.
pub(crate) fn push_inside(out: &mut String, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) if is_plain(bytes) => out.push_str(text),
        _ => push_chunks(out, bytes),
    }
}

/// Whether nothing in it must be escaped. Looks at every byte, without a way out: most texts are plain and short.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |plain, byte| plain & (*byte >= b' ') & (*byte != b'"') & (*byte != b'\\'))
}

fn push_chunks(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        push_escaped(out, chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// Escapes what RFC 8259 section 7 demands: quote, backslash and the control characters.
fn push_escaped(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some((clean, special, tail)) = split_at_special(rest) {
        out.push_str(clean);
        push_escape(out, special);
        rest = tail;
    }
    out.push_str(rest);
}

fn split_at_special(text: &str) -> Option<(&str, u8, &str)> {
    let at = text.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\')?;
    Some((text.get(..at)?, *text.as_bytes().get(at)?, text.get(at + 1..)?))
}

fn push_escape(out: &mut String, byte: u8) {
    match byte {
        b'"' => out.push_str("\\\""),
        b'\\' => out.push_str("\\\\"),
        b'\n' => out.push_str("\\n"),
        b'\r' => out.push_str("\\r"),
        b'\t' => out.push_str("\\t"),
        _ => {
            out.push_str("\\u00");
            for digit in [byte >> 4, byte & 0xf] {
                out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
    }
}

/// Writes an integer.
pub(crate) fn push_int(out: &mut String, number: u64) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Writes microseconds as milliseconds with three decimals.
pub(crate) fn push_millis(out: &mut String, micros: u64) {
    push_int(out, micros / 1000);
    out.push('.');
    for place in [100, 10, 1] {
        let digit = u32::try_from(micros / place % 10).unwrap_or_default();
        out.push(char::from_digit(digit, 10).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(bytes: &[u8]) -> String {
        let mut out = String::new();
        push_text(&mut out, bytes);
        out
    }

    proptest! {
        #[test]
        fn any_bytes_become_the_string_they_lossily_are(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0..0x23_u8, Just(b'\\')], 0..60)) {
            let parsed: String = serde_json::from_str(&text(&bytes)).unwrap();
            prop_assert_eq!(parsed, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn millis_are_exact(micros in 0..u64::MAX) {
            let mut out = String::new();
            push_millis(&mut out, micros);
            let (whole, fraction) = out.split_once('.').unwrap();
            prop_assert_eq!(fraction.len(), 3);
            let parsed: u128 = format!("{whole}{fraction}").parse().unwrap();
            prop_assert_eq!(parsed, u128::from(micros));
            prop_assert!(serde_json::from_str::<f64>(&out).is_ok());
        }
    }
}
