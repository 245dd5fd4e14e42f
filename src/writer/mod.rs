//! An append-only byte buffer with few instructions per write, shared by text and protobuf formats.

mod digits;

use crate::copy::{copy, copy_chunks};
use digits::EIGHT_DIGITS;
pub(crate) use digits::{UUID_LENGTH, all, decimal, hex, uuid_text};

/// An append-only byte buffer. It keeps its allocation when cleared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    /// The bytes written, followed by spare room.
    bytes: Vec<u8>,
    length: usize,
}

impl Writer {
    /// The bytes written.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Number of bytes written.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Keeps only the first `length` bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Lets `write` fill room of this size, and appends as many bytes as it returns.
    #[inline(always)]
    pub(crate) fn fill(&mut self, bytes: usize, write: impl FnOnce(&mut [u8]) -> usize) -> usize {
        let end = self.length + bytes;
        if end > self.bytes.len() {
            self.grow(bytes);
        }

        let Some(room) = self.bytes.get_mut(self.length..end) else {
            return 0;
        };
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

    /// Writes text of a constant length of at least four bytes, so that no check remains.
    /// [`Self::fill`] would lose the constant: 3 % more instructions per record.
    #[inline(always)]
    pub(crate) fn push_piece<const N: usize>(&mut self, piece: &[u8; N]) {
        const { assert!(N >= 4) };

        if self.bytes.len() - self.length < N {
            self.grow(N);
        }

        if let Some(room) = self
            .bytes
            .get_mut(self.length..)
            .and_then(|room| room.first_chunk_mut::<N>())
        {
            match N {
                ..8 => copy_chunks::<4>(room, piece),
                8..32 => copy_chunks::<8>(room, piece),
                _ => copy_chunks::<32>(room, piece),
            }

            self.length += N;
        }
    }

    /// Writes text unchanged.
    #[inline(always)]
    pub(crate) fn push_str(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    /// Writes UTF-8 unchanged.
    #[inline(never)]
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        self.fill(bytes.len(), |room| {
            copy(room, bytes);
            bytes.len()
        });
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
}

/// The output of `write`.
#[cfg(test)]
pub(crate) fn written(write: impl Fn(&mut Writer)) -> String {
    let mut out = Writer::default();
    write(&mut out);
    String::from_utf8(out.as_bytes().to_vec()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_stand_behind_each_other(pieces in prop::collection::vec("[a-z]{0,70}", 0..70)) {
            let text = written(|out| pieces.iter().for_each(|piece| out.push_str(piece)));
            prop_assert_eq!(text, pieces.concat());
        }

        #[test]
        fn pieces_of_a_known_length_are_whole(bytes in prop::array::uniform32(b' '..b'~'), before in "[a-z]{0,9}") {
            // Unaligned texts with lengths around those where the copy method changes.
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
