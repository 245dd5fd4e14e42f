//! Copies of short byte slices in machine words. A byte loop is slower; wasm bulk memory calls out
//! of the sandbox for every copy.

/// Copies between slices of equal length. The last word may overlap the one before it.
#[inline(always)]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    if from.len() >= 16 {
        copy_chunks::<16>(to, from);
    } else if !copy_ends::<8>(to, from) && !copy_ends::<4>(to, from) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    }
}

/// Copies a slice of at least `C` bytes in chunks of `C`; the last chunk may overlap the one before
/// it.
#[inline(always)]
pub(crate) fn copy_chunks<const C: usize>(to: &mut [u8], from: &[u8]) {
    for (to, from) in to
        .as_chunks_mut::<C>()
        .0
        .iter_mut()
        .zip(from.as_chunks::<C>().0)
    {
        *to = *from;
    }

    if let (Some(to), Some(from)) = (to.last_chunk_mut::<C>(), from.last_chunk::<C>()) {
        *to = *from;
    }
}

/// Copies the first and the last `N` bytes: the whole slice if it has at most twice as many. False:
/// the slice is shorter than `N`.
#[inline(always)]
pub(crate) fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
    let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else {
        return false;
    };
    if let Some(to) = to.first_chunk_mut::<N>() {
        *to = *first;
    }

    if let Some(to) = to.last_chunk_mut::<N>() {
        *to = *last;
    }

    true
}

/// Copies between slices of equal length. Returns whether all bytes are ASCII.
#[inline(always)]
pub(crate) fn copy_ascii(to: &mut [u8], from: &[u8]) -> bool {
    copy(to, from);
    let mut seen = 0;
    if let Some(last) = from.last_chunk() {
        for word in from.as_chunks::<8>().0 {
            seen |= u64::from_le_bytes(*word);
        }
        seen |= u64::from_le_bytes(*last);
    } else {
        for byte in from {
            seen |= u64::from(*byte);
        }
    }

    seen & 0x8080_8080_8080_8080 == 0
}
