//! Copies of short byte slices in machine words. A byte loop is slower; wasm bulk memory calls out
//! of the sandbox for every copy.

/// Copies between slices of equal length. The last word may overlap the one before it.
#[inline(always)]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    copy_ascii(to, from);
}

/// Copies between slices of equal length. Returns whether all bytes are ASCII.
#[inline(always)]
pub(crate) fn copy_ascii(to: &mut [u8], from: &[u8]) -> bool {
    let bits = if from.len() >= 16 {
        copy_long(to, from)
    } else {
        copy_ends::<8>(to, from)
            .or_else(|| copy_ends::<4>(to, from))
            .or_else(|| copy_ends::<2>(to, from))
            .or_else(|| copy_ends::<1>(to, from))
            .unwrap_or_default()
    };
    bits & 0x8080_8080_8080_8080 == 0
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

/// Like [`copy_chunks`] for at least sixteen bytes. Returns the bits of all words.
#[inline(always)]
fn copy_long(to: &mut [u8], from: &[u8]) -> u64 {
    let mut bits = 0;
    let chunks = to.as_chunks_mut::<16>().0.iter_mut();
    for (to, from) in chunks.zip(from.as_chunks::<16>().0) {
        *to = *from;
        bits |= both_halves(from);
    }

    if let (Some(to), Some(from)) = (to.last_chunk_mut(), from.last_chunk()) {
        *to = *from;
        bits |= both_halves(from);
    }

    bits
}

#[inline(always)]
fn both_halves(chunk: &[u8; 16]) -> u64 {
    let whole = u128::from_le_bytes(*chunk);
    whole as u64 | (whole >> 64) as u64
}

/// Copies the first and the last `N` bytes: the whole slice if it has at most twice as many. Returns
/// the bits of both; `None`: the slice is shorter than `N`.
#[inline(always)]
pub(crate) fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) -> Option<u64> {
    let (first, last) = (from.first_chunk::<N>()?, from.last_chunk::<N>()?);
    *to.first_chunk_mut()? = *first;
    *to.last_chunk_mut()? = *last;
    Some(word(first) | word(last))
}

/// At most eight bytes as a number.
#[inline(always)]
fn word<const N: usize>(bytes: &[u8; N]) -> u64 {
    let mut word = [0; 8];
    if let Some(room) = word.first_chunk_mut() {
        *room = *bytes;
    }
    u64::from_le_bytes(word)
}
