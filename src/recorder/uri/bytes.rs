//! Byte search, eight bytes at a time. Most paths and hosts contain none of the bytes searched for.
//! A bytewise search would make a record 1 % more expensive (210 wasm instructions for a host of 15
//! bytes).

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Whether `bytes` contains `sought`.
pub(in crate::recorder) fn has(bytes: &[u8], sought: u8) -> bool {
    any_word(bytes, |word| has_in(word, sought))
}

/// Whether a host may be in a non-canonical spelling. That is: it has `%`, `:`, a byte from `@` to
/// `_` (upper case and `[` among them), or a non-ASCII byte.
pub(in crate::recorder) fn has_odd_host_byte(bytes: &[u8]) -> bool {
    const SIXTH: u64 = 0x4040_4040_4040_4040;
    // From `@` to `_` the sixth bit is set and the fifth is not.
    any_word(bytes, |word| {
        ((word & !(word << 1)) & SIXTH | word & HIGHS) != 0
            || has_in(word, b':')
            || has_in(word, b'%')
    })
}

/// Whether `is_hit` holds for one of the eight-byte words of `bytes`. The last word is padded with
/// lower-case letters.
#[inline(always)]
fn any_word(bytes: &[u8], is_hit: impl Fn(u64) -> bool) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut word = match bytes.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => rest
            .iter()
            .fold(u64::from_le_bytes([b'a'; 8]), |word, byte| {
                word << 8 | u64::from(*byte)
            }),
    };

    // The tail comes first, so that `is_hit` has a single call site.
    let mut words = words.iter();
    loop {
        if is_hit(word) {
            return true;
        }
        match words.next() {
            Some(next) => word = u64::from_le_bytes(*next),
            None => return false,
        }
    }
}

/// Whether one of the eight bytes equals `sought`.
#[inline(always)]
fn has_in(word: u64, sought: u8) -> bool {
    let zero_where_found = word ^ u64::from(sought).wrapping_mul(ONES);
    zero_where_found.wrapping_sub(ONES) & !zero_where_found & HIGHS != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_byte_is_found_wherever_it_is(bytes in prop::collection::vec(prop_oneof![0x38..0x40_u8, any::<u8>()], 0..40), sought in 0x38..0x40_u8) {
            prop_assert_eq!(has(&bytes, sought), bytes.contains(&sought));
        }

        #[test]
        fn odd_bytes_are_found_wherever_they_are(bytes in prop::collection::vec(prop_oneof![8 => b'a'..=b'z', 1 => any::<u8>()], 0..40)) {
            let is_odd = |byte: &u8| matches!(byte, b'%' | b':' | b'@'..=b'_' | 0x80..);
            prop_assert_eq!(has_odd_host_byte(&bytes), bytes.iter().any(is_odd));
        }
    }
}
