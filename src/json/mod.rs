//! A minimal JSON writer for records and session contexts.
//!
//! The output is always valid UTF-8.

mod plain;

use crate::writer::{Writer, decimal, hex};
use plain::{copy_plain, is_plain_byte};

/// Strips a leading byte-order mark, which a reader may ignore (RFC 8259 section 8.1).
pub(crate) fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

impl Writer {
    /// Writes a JSON string from raw bytes; invalid UTF-8 becomes U+FFFD.
    pub(crate) fn push_text(&mut self, bytes: &[u8]) {
        self.push(b'"');
        self.push_inside(bytes);
        self.push(b'"');
    }

    /// Writes raw bytes as the inside of a JSON string.
    #[inline(never)]
    pub(crate) fn push_inside(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        loop {
            rest = self.push_plain(rest);
            let Some((&byte, tail)) = rest.split_first() else {
                return;
            };
            if !byte.is_ascii() {
                return self.push_chunks(rest);
            }

            self.push_escape(byte);
            rest = tail;
        }
    }

    /// Writes the longest prefix that needs no escaping and returns the rest.
    fn push_plain<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let plain = self.fill(bytes.len(), |room| copy_plain(room, bytes));
        bytes.get(plain..).unwrap_or_default()
    }

    #[cold]
    #[inline(never)]
    fn push_chunks(&mut self, bytes: &[u8]) {
        for chunk in bytes.utf8_chunks() {
            self.push_escaped(chunk.valid().as_bytes());
            if !chunk.invalid().is_empty() {
                self.push_str("\u{fffd}");
            }
        }
    }

    fn push_escaped(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some(at) = rest
            .iter()
            .position(|byte| byte.is_ascii() && !is_plain_byte(*byte))
        {
            let (clean, tail) = rest.split_at_checked(at).unwrap_or((rest, b""));
            self.push_bytes(clean);

            let Some((&special, tail)) = tail.split_first() else {
                return;
            };
            self.push_escape(special);
            rest = tail;
        }

        self.push_bytes(rest);
    }

    /// Escapes as RFC 8259 section 7 requires: quote, backslash and the control characters.
    #[inline(never)]
    fn push_escape(&mut self, byte: u8) {
        match byte {
            b'"' => self.push_str("\\\""),
            b'\\' => self.push_str("\\\\"),
            b'\n' => self.push_str("\\n"),
            b'\r' => self.push_str("\\r"),
            b'\t' => self.push_str("\\t"),
            _ => {
                let digits = hex([0, 0, 0, byte]);
                self.push_str("\\u");
                self.push_bytes(digits.last_chunk::<4>().unwrap_or(b"0000"));
            }
        }
    }

    /// Writes microseconds as milliseconds with three decimals.
    pub(crate) fn push_millis(&mut self, micros: u64) {
        self.push_int(micros / 1000);
        let [.., hundreds, tens, ones] = decimal((micros % 1000) as u32);
        self.push_piece(&[b'.', hundreds, tens, ones]);
    }
}

#[cfg(test)]
mod tests {
    use crate::writer::written;
    use proptest::prelude::*;

    /// Text biased towards long plain runs, escapes and invalid UTF-8.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            4 => "[ -~]{0,20}".prop_map(String::into_bytes),
            1 => "\\PC{0,4}".prop_map(String::into_bytes),
            1 => prop::collection::vec(prop_oneof![any::<u8>(), 0..0x23_u8, Just(b'\\')], 0..4),
        ];
        prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn any_bytes_become_the_string_they_lossily_are(bytes in text()) {
            let parsed: String = serde_json::from_str(&written(|out| out.push_text(&bytes))).unwrap();
            prop_assert_eq!(parsed, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn millis_are_exact(micros in 0..u64::MAX) {
            let out = written(|out| out.push_millis(micros));
            let (whole, fraction) = out.split_once('.').unwrap();
            prop_assert_eq!(fraction.len(), 3);
            let parsed: u128 = format!("{whole}{fraction}").parse().unwrap();
            prop_assert_eq!(parsed, u128::from(micros));
            prop_assert!(serde_json::from_str::<f64>(&out).is_ok());
        }
    }

    #[test]
    fn escapes_are_the_short_ones() {
        let all = b"\"\\\n\r\t\x08\x1f\x7f/";
        let expected = concat!(r#""\"\\\n\r\t\u0008\u001f"#, "\u{7f}/\"");
        assert_eq!(written(|out| out.push_text(all)), expected);
    }
}
