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
    /// The first value of `name`.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// Every value of `name`.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(found, _)| *found == name.as_bytes()).map(|(_, value)| *value)
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
