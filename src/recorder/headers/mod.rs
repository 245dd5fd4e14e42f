//! A read-only view of one header map: raw bytes, in order of arrival, with duplicates.

mod equality;
mod names;
mod serialized;
pub(super) mod values;

pub(super) use equality::is_same;
pub(super) use names::Names;
pub(super) use serialized::first_values;

use names::{Pair, bit, mark};
use serialized::{lengths_and_text, pairs_of};
use values::Values;

/// Pairs of lower-case names and raw values, borrowed from the host's buffer.
#[derive(Debug, Default)]
pub struct Headers<'a> {
    pairs: Vec<Pair<'a>>,
    /// Bloom filter of one bit per name, since most lookups find nothing.
    marks: u64,
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
