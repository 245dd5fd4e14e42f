//! Copies bytes in machine words, up to the first byte that a JSON string must escape.

use crate::copy::copy_ends;
use crate::writer::all;

/// Whether all eight bytes are ASCII that needs no escaping. The subtraction sets the high bit of
/// smaller bytes. A borrow may also set that of the bytes above.
fn is_plain(word: u64) -> bool {
    let controls = word.wrapping_sub(all(b' '));
    let quotes = (word ^ all(b'"')).wrapping_sub(all(1));
    let backslashes = (word ^ all(b'\\')).wrapping_sub(all(1));
    (word | controls | quotes | backslashes) & all(0x80) == 0
}

pub(super) fn is_plain_byte(byte: u8) -> bool {
    (b' '..0x80).contains(&byte) && byte != b'"' && byte != b'\\'
}

/// Copies up to the first byte that needs escaping. Returns the number of bytes copied.
#[inline(always)]
pub(super) fn copy_plain(to: &mut [u8], from: &[u8]) -> usize {
    let (mut copied, length) = (0, from.len());
    for (to, from) in to
        .as_chunks_mut::<8>()
        .0
        .iter_mut()
        .zip(from.as_chunks::<8>().0)
    {
        if !is_plain(u64::from_le_bytes(*from)) {
            break;
        }
        *to = *from;
        copied += 8;
    }

    if length - copied < 8 && copy_plain_end(to, from) {
        return length;
    }

    for (to, from) in to.iter_mut().zip(from).skip(copied) {
        if !is_plain_byte(*from) {
            break;
        }
        *to = *from;
        copied += 1;
    }

    copied
}

/// Copies the last eight bytes, or a slice of four to eight bytes, if they are plain.
#[inline(always)]
fn copy_plain_end(to: &mut [u8], from: &[u8]) -> bool {
    if let (Some(to), Some(last)) = (to.last_chunk_mut::<8>(), from.last_chunk::<8>()) {
        *to = *last;
        return is_plain(u64::from_le_bytes(*last));
    }
    let (Some(first), Some(last)) = (from.first_chunk::<4>(), from.last_chunk::<4>()) else {
        return false;
    };
    let both = u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    is_plain(both) && copy_ends::<4>(to, from).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Mostly plain bytes, so that one other byte decides the result.
    fn near_a_bound() -> impl Strategy<Value = u8> {
        let bounds = vec![
            0, 0x1f, b' ', b'!', b'"', b'#', b'[', b'\\', b']', 0x7f, 0x80, 0xff,
        ];
        prop_oneof![8 => b'a'..=b'z', 1 => prop::sample::select(bounds)]
    }

    proptest! {
        #[test]
        fn every_byte_is_judged_alone_as_among_eight(bytes in prop::array::uniform8(near_a_bound())) {
            prop_assert_eq!(is_plain(u64::from_le_bytes(bytes)), bytes.iter().all(|byte| is_plain_byte(*byte)));
        }
    }
}
