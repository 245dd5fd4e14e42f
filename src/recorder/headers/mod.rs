//! A read-only view of one header map: raw bytes, in order of arrival, with duplicates.

pub(super) mod values;

use values::Values;

/// Pairs of lower-case names and raw values, borrowed from the host's buffer.
#[derive(Debug, Default)]
pub struct Headers<'a> {
    pairs: Vec<Pair<'a>>,
    /// Bloom filter of one bit per name, since most lookups find nothing.
    marks: u64,
}

#[derive(Clone, Copy, Debug)]
struct Pair<'a> {
    mark: u32,
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> FromIterator<(&'a [u8], &'a [u8])> for Headers<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a [u8], &'a [u8])>>(pairs: I) -> Self {
        let pairs: Vec<_> = pairs
            .into_iter()
            .map(|(name, value)| Pair {
                mark: mark(name),
                name,
                value,
            })
            .collect();
        let marks = pairs.iter().fold(0, |marks, pair| marks | bit(pair.mark));

        Self { pairs, marks }
    }
}

impl<'a> Headers<'a> {
    /// Reads the map serialization of proxy-wasm hosts in place. It has the number of pairs and the
    /// length of each name and value (32 bits each, little-endian), then each name and value,
    /// NUL-terminated.
    ///
    /// Data beyond the end of the buffer is ignored.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Self {
        let (lengths, text) = lengths_and_text(bytes);
        let (mut pairs, mut marks) = (Vec::with_capacity(lengths.len()), 0);
        for (name, value) in pairs_of(lengths, text) {
            let mark = mark(name);
            marks |= bit(mark);
            pairs.push(Pair { mark, name, value });
        }
        Self { pairs, marks }
    }

    /// The first value of `name`.
    #[must_use]
    #[inline(never)]
    pub fn first(&self, name: &str) -> Option<&'a [u8]> {
        let mark = mark(name.as_bytes());
        if self.marks & bit(mark) == 0 {
            return None;
        }

        for pair in &self.pairs {
            if pair.mark == mark && is_same(pair.name, name.as_bytes()) {
                return Some(pair.value);
            }
        }

        None
    }

    /// Every value of `name`.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let mark = mark(name.as_bytes());
        let pairs = if self.marks & bit(mark) == 0 {
            &[]
        } else {
            self.pairs.as_slice()
        };
        let found = pairs
            .iter()
            .filter(move |pair| pair.mark == mark && is_same(pair.name, name.as_bytes()));

        found.map(|pair| pair.value)
    }

    /// The combined values of `name`, each without surrounding white space.
    #[inline(never)]
    pub(super) fn values(&self, name: &str) -> Values<&'a [u8]> {
        let mut values = Values::default();
        let mark = mark(name.as_bytes());
        if self.marks & bit(mark) == 0 {
            return values;
        }

        for pair in &self.pairs {
            if pair.mark == mark && is_same(pair.name, name.as_bytes()) {
                values.add_text(pair.value);
            }
        }

        values
    }

    /// The value of `name`, if there is exactly one.
    #[must_use]
    #[inline(never)]
    pub fn only(&self, name: &str) -> Option<&'a [u8]> {
        let mark = mark(name.as_bytes());
        if self.marks & bit(mark) == 0 {
            return None;
        }

        let mut only = None;
        for pair in &self.pairs {
            if pair.mark == mark
                && is_same(pair.name, name.as_bytes())
                && only.replace(pair.value).is_some()
            {
                return None;
            }
        }

        only
    }

    /// Whether `name` is present.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// Which of these names are present, in one pass over the headers.
    #[must_use]
    pub(super) fn which<const N: usize, S: AsRef<str>>(&self, names: &Names<N, S>) -> [bool; N] {
        let mut found = [false; N];
        if self.marks & names.bits != 0 {
            let may_be = |pair: &&Pair<'_>| bit(pair.mark) & names.bits != 0;
            self.pairs
                .iter()
                .filter(may_be)
                .for_each(|pair| names.note(pair, &mut found));
        }
        found
    }

    /// The headers without those that have one of these names.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        let keeps = |name: &[u8]| names.iter().all(|gone| !is_same(gone.as_bytes(), name));
        self.pairs
            .iter()
            .filter(|pair| keeps(pair.name))
            .map(|pair| (pair.name, pair.value))
            .collect()
    }
}

/// The first value of each of these names in a serialized map, as read by [`Headers::parse`].
/// Cheaper than parsing for a map that is read once.
#[must_use]
pub(super) fn first_values<'m, const N: usize>(
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
type Lengths = [[u8; 4]; 2];

fn lengths_and_text(map: &[u8]) -> (&[Lengths], &[u8]) {
    let (count, rest) = map.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
    let (lengths, text) = rest
        .split_at_checked(size(*count).saturating_mul(8))
        .unwrap_or_default();
    (lengths.as_chunks::<4>().0.as_chunks::<2>().0, text)
}

fn pairs_of<'m>(
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

/// Names that are looked up together, in lower case.
#[derive(Clone, Debug)]
pub(super) struct Names<const N: usize, S = &'static str> {
    names: [S; N],
    marks: [u32; N],
    bits: u64,
}

impl<const N: usize> Names<N> {
    pub(super) const fn new(names: [&'static str; N]) -> Self {
        let (mut marks, mut bits) = ([0; N], 0);
        let (mut marks_left, mut names_left): (&mut [u32], &[&str]) = (&mut marks, &names);
        while let ([first, others @ ..], [name, other_names @ ..]) = (marks_left, names_left) {
            *first = mark(name.as_bytes());
            bits |= bit(*first);
            (marks_left, names_left) = (others, other_names);
        }
        Self { names, marks, bits }
    }
}

impl<const N: usize> Names<N, String> {
    pub(super) fn configured(names: [String; N]) -> Self {
        let marks = names.each_ref().map(|name| mark(name.as_bytes()));
        let bits = marks.iter().fold(0, |bits, mark| bits | bit(*mark));
        Self { names, marks, bits }
    }
}

impl<const N: usize, S: AsRef<str>> Names<N, S> {
    fn note(&self, pair: &Pair<'_>, found: &mut [bool; N]) {
        for ((mark, name), found) in self.marks.iter().zip(&self.names).zip(found) {
            *found |= *mark == pair.mark && is_same(pair.name, name.as_ref().as_bytes());
        }
    }
}

/// A hash of the length and the last bytes; collisions are rare.
#[inline(always)]
const fn mark(name: &[u8]) -> u32 {
    /// 2^32 divided by the golden ratio: mixes into the high bits.
    const SPREAD: u32 = 0x9e37_79b9;
    let end = match name.last_chunk::<4>() {
        Some(end) => u32::from_le_bytes(*end),
        None => 0,
    };
    (end ^ name.len() as u32).wrapping_mul(SPREAD)
}

#[inline(always)]
const fn bit(mark: u32) -> u64 {
    1 << (mark >> 26)
}

/// Equality of names and paths, eight bytes at a time; the built-in comparison is bytewise here.
#[must_use]
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
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

#[inline(always)]
fn size(length: [u8; 4]) -> usize {
    usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX)
}

#[inline(always)]
fn terminated(text: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (value, rest) = text.split_at_checked(length)?;
    Some((value, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn serialized(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let mut out = u32::try_from(pairs.len()).unwrap().to_le_bytes().to_vec();
        for (name, value) in pairs {
            out.extend([length(name), length(value)].concat());
        }
        for (name, value) in pairs {
            out.extend([name.as_slice(), b"\0", value, b"\0"].concat());
        }
        out
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..12)
    }

    fn read<'a>(headers: &Headers<'a>) -> Vec<(&'a [u8], &'a [u8])> {
        headers
            .pairs
            .iter()
            .map(|pair| (pair.name, pair.value))
            .collect()
    }

    proptest! {
        #[test]
        fn values_are_found_as_by_looking_at_every_name(
            pairs in prop::collection::vec(("[ab]{0,2}(ab|-session-track|x-user-id)?", bytes()), 0..12), name in "[ab]{0,2}(ab|-session-track|x-user-id)?"
        ) {
            let headers: Headers = pairs.iter().map(|(name, value)| (name.as_bytes(), &value[..])).collect();
            let expected: Vec<&[u8]> = pairs.iter().filter(|(found, _)| *found == name).map(|(_, value)| &value[..]).collect();
            prop_assert_eq!(headers.all(&name).collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(headers.first(&name), expected.first().copied());
            prop_assert!(!headers.without(&[&name]).has(&name));
            prop_assert_eq!(read(&headers.without(&[&name])).len() + expected.len(), pairs.len());
        }

        #[test]
        fn texts_are_the_same_when_every_byte_is(one in prop::collection::vec(0..2_u8, 0..40), at in 0..40_usize, bit in 0..2_u8) {
            let mut other = one.clone();
            if let Some(byte) = other.get_mut(at) {
                *byte ^= bit;
            }
            prop_assert_eq!(is_same(&one, &other), one == other);
            other.push(0);
            prop_assert!(!is_same(&one, &other));
        }

        #[test]
        fn every_pair_is_read_as_it_is(pairs in prop::collection::vec((bytes(), bytes()), 0..12)) {
            let buffer = serialized(&pairs);
            let expected: Vec<(&[u8], &[u8])> = pairs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
            prop_assert_eq!(read(&Headers::parse(&buffer)), expected);
        }

        #[test]
        fn first_values_are_those_of_all_headers(
            pairs in prop::collection::vec(("[ab]{1,2}".prop_map(String::into_bytes), bytes()), 0..12), cut in 0..200_usize
        ) {
            let whole = serialized(&pairs);
            let map = &whole[..cut.min(whole.len())];
            let headers = Headers::parse(map);
            prop_assert_eq!(first_values(map, ["a", "bb", "ab"]), ["a", "bb", "ab"].map(|name| headers.first(name)));
        }

        #[test]
        fn a_buffer_that_breaks_off_yields_its_whole_pairs(pairs in prop::collection::vec((bytes(), bytes()), 0..12), cut in 0..200_usize) {
            let whole = serialized(&pairs);
            let cut = cut.min(whole.len());
            let expected: Vec<(&[u8], &[u8])> = pairs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
            prop_assert!(expected.starts_with(&read(&Headers::parse(&whole[..cut]))));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = (Headers::parse(&bytes), first_values(&bytes, ["a", ""]));
        }
    }
}
