//! The map serialization of proxy-wasm hosts.

use super::equality::is_same;

/// The first value of each of these names in a serialized map, as read by [`super::Headers::parse`].
/// Cheaper than parsing for a map that is read once.
#[must_use]
pub(in crate::recorder) fn first_values<'m, const N: usize>(
    map: &'m [u8],
    names: [&str; N],
) -> [Option<&'m [u8]>; N] {
    let mut found = [None; N];
    let (lengths, text) = lengths_and_text(map);
    for (name, value) in pairs_of(lengths, text) {
        let place = names
            .iter()
            .zip(&mut found)
            .find(|(sought, _)| is_same(name, sought.as_bytes()));
        if let Some((_, first)) = place {
            first.get_or_insert(value);
        }
    }

    found
}

/// The lengths of a name and its value.
pub(super) type Lengths = [[u8; 4]; 2];

pub(super) fn lengths_and_text(map: &[u8]) -> (&[Lengths], &[u8]) {
    let (count, rest) = map.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
    let (lengths, text) = rest
        .split_at_checked(size(*count).saturating_mul(8))
        .unwrap_or_default();
    (lengths.as_chunks::<4>().0.as_chunks::<2>().0, text)
}

pub(super) fn pairs_of<'m>(
    lengths: &'m [Lengths],
    mut text: &'m [u8],
) -> impl Iterator<Item = (&'m [u8], &'m [u8])> {
    lengths.iter().map_while(move |[name, value]| {
        let (name, after) = terminated(text, size(*name))?;
        let (value, after) = terminated(after, size(*value))?;
        text = after;
        Some((name, value))
    })
}

#[inline(always)]
fn size(length: [u8; 4]) -> usize {
    usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX)
}

#[inline(always)]
fn terminated(text: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (value, rest) = text.split_at_checked(length)?;
    Some((value, rest.get(1..)?))
}
