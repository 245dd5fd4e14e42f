//! A read-only view of one header map: raw bytes, duplicates kept, in the order of arrival.

/// Pairs of lower-case names and raw values, borrowed from the buffer that the host filled.
#[derive(Debug, Default)]
pub struct Headers<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> FromIterator<(&'a [u8], &'a [u8])> for Headers<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a [u8], &'a [u8])>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl<'a> Headers<'a> {
    /// Reads a map in the serialization of proxy-wasm hosts, in place: the number of pairs, the lengths of each name
    /// and value (all 32 bits, little-endian), then each name and value with a NUL behind it.
    ///
    /// What goes beyond the end of the buffer is left out.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Self {
        let Some((count, rest)) = length(bytes) else { return Self::default() };
        let (mut lengths, mut text) = rest.split_at_checked(count.saturating_mul(8)).unwrap_or((rest, b""));
        let mut pairs = Vec::with_capacity(lengths.len() / 8);
        while let Some((name_length, after_name)) = length(lengths)
            && let Some((value_length, after_value)) = length(after_name)
            && let Some((name, after)) = terminated(text, name_length)
            && let Some((value, after)) = terminated(after, value_length)
        {
            pairs.push((name, value));
            (lengths, text) = (after_value, after);
        }
        Self(pairs)
    }

    /// The first value of `name`.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// Every value of `name`.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(found, _)| *found == name.as_bytes()).map(|(_, value)| *value)
    }

    /// Whether `name` has more than one distinct value.
    #[must_use]
    pub fn disagree(&self, name: &str) -> bool {
        let mut values = self.all(name);
        let first = values.next();
        values.any(|value| Some(value) != first)
    }

    /// Whether `name` is there at all.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// The same headers but for those with one of these names.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        let keeps = |name: &[u8]| names.iter().all(|gone| gone.as_bytes() != name);
        self.0.iter().copied().filter(|(name, _)| keeps(name)).collect()
    }
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*length)).ok()?, rest))
}

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

    proptest! {
        #[test]
        fn every_pair_is_read_as_it_is(pairs in prop::collection::vec((bytes(), bytes()), 0..12)) {
            let buffer = serialized(&pairs);
            let expected: Vec<(&[u8], &[u8])> = pairs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
            prop_assert_eq!(Headers::parse(&buffer).0, expected);
        }

        #[test]
        fn a_buffer_that_breaks_off_yields_its_whole_pairs(pairs in prop::collection::vec((bytes(), bytes()), 0..12), cut in 0..200_usize) {
            let whole = serialized(&pairs);
            let cut = cut.min(whole.len());
            let read = Headers::parse(&whole[..cut]);
            prop_assert!(read.0.len() <= pairs.len());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Headers::parse(&bytes);
        }
    }
}
