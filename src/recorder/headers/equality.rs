//! Equality of short texts, in fewer instructions than the built-in comparison.

/// Equality of names and paths, eight bytes at a time; the built-in comparison is bytewise here.
#[must_use]
pub(in crate::recorder) fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }

    let (Some(end), Some(other_end)) = (one.last_chunk::<8>(), other.last_chunk::<8>()) else {
        return is_same_short(one, other);
    };
    let differs =
        |one: &[u8; 8], other: &[u8; 8]| u64::from_le_bytes(*one) != u64::from_le_bytes(*other);
    if differs(end, other_end) {
        return false;
    }

    for (one, other) in one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0) {
        if differs(one, other) {
            return false;
        }
    }

    true
}

/// Like [`is_same`] for equal lengths below eight bytes: the names that begin with a colon.
fn is_same_short(one: &[u8], other: &[u8]) -> bool {
    let ends = |text: &[u8]| {
        Some([*text.first_chunk::<4>()?, *text.last_chunk::<4>()?].map(u32::from_le_bytes))
    };
    match (ends(one), ends(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.iter().zip(other).all(|(one, other)| one == other),
    }
}
