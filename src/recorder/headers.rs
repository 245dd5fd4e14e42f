//! A read-only view of one header map: raw bytes, duplicates kept, in the order of arrival.

use super::values::Values;

/// Pairs of lower-case names and raw values, borrowed from the buffer that the host filled.
#[derive(Debug, Default)]
pub struct Headers<'a> {
    pairs: Vec<Pair<'a>>,
    /// One bit for the marks of names that are there: most names that are looked for are not.
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
        let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| Pair { mark: mark(name), name, value }).collect();
        let marks = pairs.iter().fold(0, |marks, pair| marks | bit(pair.mark));
        Self { pairs, marks }
    }
}

impl<'a> Headers<'a> {
    /// Reads a map in the serialization of proxy-wasm hosts, in place: the number of pairs, the lengths of each name
    /// and value (all 32 bits, little-endian), then each name and value with a NUL behind it.
    ///
    /// What goes beyond the end of the buffer is left out.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Self {
        let (count, rest) = bytes.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
        let (lengths, mut text) = rest.split_at_checked(size(*count).saturating_mul(8)).unwrap_or_default();
        let (mut pairs, mut marks) = (Vec::with_capacity(lengths.len() / 8), 0);
        for [name, value] in lengths.as_chunks::<4>().0.as_chunks::<2>().0 {
            let Some((name, after)) = terminated(text, size(*name)) else { break };
            let Some((value, after)) = terminated(after, size(*value)) else { break };
            let mark = mark(name);
            marks |= bit(mark);
            pairs.push(Pair { mark, name, value });
            text = after;
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
        let pairs = if self.marks & bit(mark) == 0 { &[] } else { self.pairs.as_slice() };
        let found = pairs.iter().filter(move |pair| pair.mark == mark && is_same(pair.name, name.as_bytes()));
        found.map(|pair| pair.value)
    }

    /// What the values of `name` come to, without white space around each.
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

    /// The value of `name`, if it has one and no other.
    #[must_use]
    pub fn only(&self, name: &str) -> Option<&'a [u8]> {
        let mut values = self.all(name);
        let first = values.next()?;
        values.next().is_none().then_some(first)
    }

    /// Whether `name` is there at all.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// Whether one of these names is there; for one pass over the headers, whatever their number.
    #[must_use]
    pub(super) fn has_any<const N: usize>(&self, names: &Names<N>) -> bool {
        self.marks & names.marks != 0
            && self.pairs.iter().any(|pair| {
                bit(pair.mark) & names.marks != 0 && names.names.iter().any(|name| is_same(pair.name, name.as_bytes()))
            })
    }

    /// The same headers but for those with one of these names.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        let keeps = |name: &[u8]| names.iter().all(|gone| !is_same(gone.as_bytes(), name));
        self.pairs.iter().filter(|pair| keeps(pair.name)).map(|pair| (pair.name, pair.value)).collect()
    }
}

/// Names that are looked for together.
pub(super) struct Names<const N: usize> {
    names: [&'static str; N],
    marks: u64,
}

impl<const N: usize> Names<N> {
    /// Names in lower case.
    pub(super) const fn new(names: [&'static str; N]) -> Self {
        let (mut marks, mut rest): (_, &[&str]) = (0, &names);
        while let [name, others @ ..] = rest {
            marks |= bit(mark(name.as_bytes()));
            rest = others;
        }
        Self { names, marks }
    }
}

/// Equal for equal names, and seldom for others: of the length and the last bytes.
#[inline(always)]
const fn mark(name: &[u8]) -> u32 {
    /// 2^32 divided by the golden ratio: spreads to the highest bits.
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

/// Equality of names and paths, eight bytes at a time: what the language has here goes byte by byte.
#[must_use]
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (Some(end), Some(other_end)) = (one.last_chunk::<8>(), other.last_chunk::<8>()) else {
        return one.iter().zip(other).all(|(one, other)| one == other);
    };
    let differs = |one: &[u8; 8], other: &[u8; 8]| u64::from_le_bytes(*one) != u64::from_le_bytes(*other);
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
        headers.pairs.iter().map(|pair| (pair.name, pair.value)).collect()
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
        fn a_buffer_that_breaks_off_yields_its_whole_pairs(pairs in prop::collection::vec((bytes(), bytes()), 0..12), cut in 0..200_usize) {
            let whole = serialized(&pairs);
            let cut = cut.min(whole.len());
            let expected: Vec<(&[u8], &[u8])> = pairs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
            prop_assert!(expected.starts_with(&read(&Headers::parse(&whole[..cut]))));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Headers::parse(&bytes);
        }
    }
}
