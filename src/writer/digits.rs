//! Digits of numbers, eight at a time in one word.

use crate::copy::copy;

/// The byte repeated eight times.
pub(crate) const fn all(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The first number with nine digits.
pub(super) const EIGHT_DIGITS: u64 = 100_000_000;

/// Eight decimal digits of a number with at most eight, in parallel. Halves, quarters and eighths
/// are each divided at once, by multiplication with the inverse of the divisor.
pub(crate) fn decimal(number: u32) -> [u8; 8] {
    let (high, low) = (u64::from(number) / 10_000, u64::from(number) % 10_000);
    let fours = high | low << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | (twos - tens * 10) << 8;
    (ones | all(b'0')).to_le_bytes()
}

/// Eight lower-case hexadecimal digits of four bytes in parallel: each nibble is moved to a separate
/// byte. In the order of memory, since wasm has no instruction that reverses bytes.
pub(crate) fn hex(bytes: [u8; 4]) -> [u8; 8] {
    let mut pairs = u64::from(u32::from_le_bytes(bytes));
    pairs = (pairs | pairs << 16) & 0x0000_ffff_0000_ffff;
    pairs = (pairs | pairs << 8) & 0x00ff_00ff_00ff_00ff;
    let halves = (pairs >> 4 | pairs << 8) & all(0x0f);
    let letters = (halves + all(6)) >> 4 & all(1);
    (halves + all(b'0') + letters * u64::from(b'a' - b'0' - 10)).to_le_bytes()
}

/// Characters of a UUID.
pub(crate) const UUID_LENGTH: usize = 36;

/// A UUID in lower case (RFC 9562 section 4).
pub(crate) fn uuid_text(uuid: [u8; 16]) -> [u8; UUID_LENGTH] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = uuid;
    let (first, second) = (hex([a, b, c, d]), hex([e, f, g, h]));
    let (third, fourth) = (hex([i, j, k, l]), hex([m, n, o, p]));
    let (second, third) = (second.split_at(4), third.split_at(4));
    let mut text = [b'-'; UUID_LENGTH];
    let mut place = |at: usize, digits: &[u8]| {
        copy(
            text.get_mut(at..at + digits.len()).unwrap_or_default(),
            digits,
        )
    };

    place(0, &first);
    place(9, second.0);
    place(14, second.1);
    place(19, third.0);
    place(24, third.1);
    place(28, &fourth);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn eight_digits_are_exact(number in 0..100_000_000_u32, other: u32) {
            prop_assert_eq!(decimal(number).to_vec(), format!("{number:08}").into_bytes());
            prop_assert_eq!(hex(other.to_be_bytes()).to_vec(), format!("{other:08x}").into_bytes());
        }
    }

    #[test]
    fn a_uuid_is_written_as_everywhere() {
        for id in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210] {
            assert_eq!(
                uuid_text(id.to_be_bytes()),
                *uuid::Uuid::from_u128(id).to_string().as_bytes()
            );
        }
    }

    #[test]
    fn each_half_is_exact() {
        for number in (0..10_000).flat_map(|four| [four, four * 10_000]) {
            assert_eq!(decimal(number), *format!("{number:08}").as_bytes());
        }
    }
}
