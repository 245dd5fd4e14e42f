//! JSON text as bytes, written with few instructions: nothing but what records and contexts need.
//!
//! Without bulk memory every copy of a few bytes would be a call of a loop, and with it one out of the sandbox; so bytes are
//! moved here, eight at a time. What is written is always UTF-8.

mod copy;
mod digits;

use copy::{all, copy, copy_chunks, copy_plain, is_plain_byte};
use digits::{EIGHT_DIGITS, decimal, hex};

/// A JSON text without a byte-order mark before it, which a reader may ignore (RFC 8259 section 8.1).
pub(crate) fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

/// Where text is written, one piece behind the other. Keeps its memory when it is cleared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    /// What is written, and behind it room.
    bytes: Vec<u8>,
    length: usize,
}

impl Writer {
    /// What was written.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// How many bytes were written.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Forgets all but the first bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Lets `write` fill room of this size, and adds as many bytes as it says.
    #[inline(always)]
    fn fill(&mut self, bytes: usize, write: impl FnOnce(&mut [u8]) -> usize) -> usize {
        let end = self.length + bytes;
        if end > self.bytes.len() {
            self.grow(bytes);
        }
        let Some(room) = self.bytes.get_mut(self.length..end) else { return 0 };
        let written = write(room);
        self.length += written;
        written
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, bytes: usize) {
        const LEAST: usize = 1024;
        let wanted = (self.length + bytes).max(2 * self.bytes.len()).max(LEAST);
        self.bytes.resize(wanted, 0);
    }

    /// Writes one byte of ASCII.
    #[inline(always)]
    pub(crate) fn push(&mut self, byte: u8) {
        if self.length == self.bytes.len() {
            self.grow(1);
        }
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    /// Writes text of a length that the compiler knows, at least four bytes, so that nothing is asked of it. In [`Self::fill`] the
    /// length would be forgotten: 3 % more instructions a record.
    #[inline(always)]
    pub(crate) fn push_piece<const N: usize>(&mut self, piece: &[u8; N]) {
        const { assert!(N >= 4) };
        if self.bytes.len() - self.length < N {
            self.grow(N);
        }
        if let Some(room) = self.bytes.get_mut(self.length..).and_then(|room| room.first_chunk_mut::<N>()) {
            match N {
                ..8 => copy_chunks::<4>(room, piece),
                8..32 => copy_chunks::<8>(room, piece),
                _ => copy_chunks::<32>(room, piece),
            }
            self.length += N;
        }
    }

    /// Writes text as it is.
    #[inline(always)]
    pub(crate) fn push_str(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    /// Writes UTF-8 as it is.
    #[inline(never)]
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        self.fill(bytes.len(), |room| {
            copy(room, bytes);
            bytes.len()
        });
    }

    /// Writes a string from raw bytes; what is not UTF-8 becomes U+FFFD.
    pub(crate) fn push_text(&mut self, bytes: &[u8]) {
        self.push(b'"');
        self.push_inside(bytes);
        self.push(b'"');
    }

    /// Writes raw bytes inside a string.
    #[inline(never)]
    pub(crate) fn push_inside(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        loop {
            rest = self.push_plain(rest);
            let Some((&byte, tail)) = rest.split_first() else { return };
            if !byte.is_ascii() {
                return self.push_chunks(rest);
            }
            self.push_escape(byte);
            rest = tail;
        }
    }

    /// Writes the start of it up to the first byte that cannot stay as it is, and yields the rest.
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
        while let Some(at) = rest.iter().position(|byte| byte.is_ascii() && !is_plain_byte(*byte)) {
            let (clean, tail) = rest.split_at_checked(at).unwrap_or((rest, b""));
            self.push_bytes(clean);
            let Some((&special, tail)) = tail.split_first() else { return };
            self.push_escape(special);
            rest = tail;
        }
        self.push_bytes(rest);
    }

    /// Escapes what RFC 8259 section 7 demands: quote, backslash and the control characters.
    #[inline(never)]
    fn push_escape(&mut self, byte: u8) {
        match byte {
            b'"' => self.push_str("\\\""),
            b'\\' => self.push_str("\\\\"),
            b'\n' => self.push_str("\\n"),
            b'\r' => self.push_str("\\r"),
            b'\t' => self.push_str("\\t"),
            _ => {
                let digits = hex(u32::from(byte));
                self.push_str("\\u");
                self.push_bytes(digits.last_chunk::<4>().unwrap_or(b"0000"));
            }
        }
    }

    /// Writes an integer: at most twenty digits, so at most three rounds.
    #[inline(never)]
    pub(crate) fn push_int(&mut self, number: u64) {
        let (high, low) = (number / EIGHT_DIGITS, (number % EIGHT_DIGITS) as u32);
        if high == 0 {
            return self.push_short(low);
        }
        self.push_int(high);
        self.push_piece(&decimal(low));
    }

    /// Writes an integer of at most eight digits.
    fn push_short(&mut self, number: u32) {
        let digits = decimal(number);
        let zeros = (u64::from_le_bytes(digits) ^ all(b'0')).trailing_zeros() / 8;
        self.push_bytes(digits.get(zeros.min(7) as usize..).unwrap_or_default());
    }

    /// Writes microseconds as milliseconds with three decimals.
    pub(crate) fn push_millis(&mut self, micros: u64) {
        self.push_int(micros / 1000);
        let [.., hundreds, tens, ones] = decimal((micros % 1000) as u32);
        self.push_piece(&[b'.', hundreds, tens, ones]);
    }

    /// Writes the 36 characters of a UUID.
    #[inline(never)]
    pub(crate) fn push_uuid(&mut self, uuid: u128) {
        let [first, second, third, fourth] = [96, 64, 32, 0].map(|shift| hex((uuid >> shift) as u32));
        let (second, third) = (second.split_at(4), third.split_at(4));
        let mut text = [b'-'; 36];
        let mut place =
            |at: usize, digits: &[u8]| copy(text.get_mut(at..at + digits.len()).unwrap_or_default(), digits);
        place(0, &first);
        place(9, second.0);
        place(14, second.1);
        place(19, third.0);
        place(24, third.1);
        place(28, &fourth);
        self.push_piece(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl Fn(&mut Writer)) -> String {
        let mut out = Writer::default();
        write(&mut out);
        String::from_utf8(out.as_bytes().to_vec()).unwrap()
    }

    /// Text in which little is needed to make long plain runs, escapes and broken characters.
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
        fn pieces_stand_behind_each_other(pieces in prop::collection::vec("[a-z]{0,70}", 0..70)) {
            let text = written(|out| pieces.iter().for_each(|piece| out.push_str(piece)));
            prop_assert_eq!(text, pieces.concat());
        }

        #[test]
        fn pieces_of_a_known_length_are_whole(bytes in prop::array::uniform32(b' '..b'~'), before in "[a-z]{0,9}") {
            // Around the sizes at which they are copied in another way, and none of them aligned.
            fn check<const N: usize>(bytes: &[u8], before: &str) {
                let piece: &[u8; N] = bytes.first_chunk().unwrap();
                let text = written(|out| {
                    out.push_str(before);
                    out.push_piece(piece);
                    out.push(b'.');
                });
                assert_eq!(text.as_bytes(), [before.as_bytes(), piece, b"."].concat());
            }
            let bytes = [bytes; 3].concat();
            check::<4>(&bytes, &before);
            check::<7>(&bytes, &before);
            check::<8>(&bytes, &before);
            check::<31>(&bytes, &before);
            check::<32>(&bytes, &before);
            check::<33>(&bytes, &before);
            check::<64>(&bytes, &before);
            check::<70>(&bytes, &before);
        }

        #[test]
        fn numbers_are_exact(number: u64, bits in 0..64_u32) {
            let number = number >> bits;
            prop_assert_eq!(written(|out| out.push_int(number)), number.to_string());
        }

        #[test]
        fn uuids_are_written_as_everywhere(id: u128) {
            prop_assert_eq!(written(|out| out.push_uuid(id)), uuid::Uuid::from_u128(id).to_string());
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
    fn each_length_of_a_number_has_its_digits() {
        let mut power = 1_u64;
        while let Some(next) = power.checked_mul(10) {
            for number in [power, next - 1] {
                assert_eq!(written(|out| out.push_int(number)), number.to_string());
            }
            power = next;
        }
        for number in [0, u64::MAX] {
            assert_eq!(written(|out| out.push_int(number)), number.to_string());
        }
    }

    #[test]
    fn escapes_are_the_short_ones() {
        let all = b"\"\\\n\r\t\x08\x1f\x7f/";
        let expected = concat!(r#""\"\\\n\r\t\u0008\u001f"#, "\u{7f}/\"");
        assert_eq!(written(|out| out.push_text(all)), expected);
    }

    #[test]
    fn what_is_forgotten_is_written_over() {
        let mut out = Writer::default();
        out.push_str("abc");
        out.truncate(1);
        out.push_str("d");
        assert_eq!((out.as_bytes(), out.len()), (b"ad".as_slice(), 2));
        out.truncate(9);
        assert_eq!(out.as_bytes(), b"ad");
    }
}
