//! Digits of numbers, eight at once in one word.

use super::all;

/// The first number with nine digits.
pub(super) const EIGHT_DIGITS: u64 = 100_000_000;

/// Eight decimal digits of a number that has no more, all at once: each half, quarter and eighth of them is divided at
/// the same time, by a multiplication with the inverse of the divisor.
pub(super) fn decimal(number: u32) -> [u8; 8] {
    let (high, low) = (u64::from(number) / 10_000, u64::from(number) % 10_000);
    let fours = high | low << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | (twos - tens * 10) << 8;
    (ones | all(b'0')).to_le_bytes()
}

/// Eight lower-case hexadecimal digits, all at once: each half byte is moved to a byte of its own.
pub(super) fn hex(number: u32) -> [u8; 8] {
    let mut halves = u64::from(number);
    halves = (halves | halves << 16) & 0x0000_ffff_0000_ffff;
    halves = (halves | halves << 8) & 0x00ff_00ff_00ff_00ff;
    halves = (halves | halves << 4) & all(0x0f);
    let letters = (halves + all(6)) >> 4 & all(1);
    (halves + all(b'0') + letters * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn eight_digits_are_exact(number in 0..100_000_000_u32, other: u32) {
            prop_assert_eq!(decimal(number).to_vec(), format!("{number:08}").into_bytes());
            prop_assert_eq!(hex(other).to_vec(), format!("{other:08x}").into_bytes());
        }
    }

    #[test]
    fn each_half_is_exact() {
        for number in (0..10_000).flat_map(|four| [four, four * 10_000]) {
            assert_eq!(decimal(number), *format!("{number:08}").as_bytes());
        }
    }
}
