//! Combines several values from one source. The last one counts, since a proxy appends its value to
//! those received.

/// State of the values of one source, in order of arrival. Empty values must not be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::recorder) struct Values<T> {
    /// The value that counts, if there is any.
    pub(in crate::recorder) last: Option<T>,
    /// Whether another value differs from it: `audit.header_conflict`.
    pub(in crate::recorder) disagree: bool,
}

impl<T> Default for Values<T> {
    fn default() -> Self {
        Self {
            last: None,
            disagree: false,
        }
    }
}

impl<T: Copy + PartialEq> Values<T> {
    pub(in crate::recorder) fn add(&mut self, value: T) {
        self.disagree |= self.last.is_some_and(|last| last != value);
        self.last = Some(value);
    }

    /// The value that counts. Sets `conflict` if values differ.
    pub(in crate::recorder) fn noting(self, conflict: &mut bool) -> Option<T> {
        *conflict |= self.disagree;
        self.last
    }
}

impl<'h> Values<&'h [u8]> {
    /// Adds a value without surrounding white space, unless it is empty.
    pub(in crate::recorder) fn add_text(&mut self, value: &'h [u8]) {
        let value = value.trim_ascii();
        if !value.is_empty() {
            self.add(value);
        }
    }
}

impl<T: Copy + PartialEq> FromIterator<T> for Values<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut all = Self::default();
        values.into_iter().for_each(|value| all.add(value));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_last_counts_and_any_other_is_a_conflict(list in prop::collection::vec(0..3_u8, 0..5)) {
            let values: Values<u8> = list.iter().copied().collect();
            prop_assert_eq!(values.last, list.last().copied());
            prop_assert_eq!(values.disagree, list.iter().any(|value| Some(value) != list.last()));
            let mut conflict = false;
            prop_assert_eq!((values.noting(&mut conflict), conflict), (values.last, values.disagree));
            conflict = true;
            let _ = Values::<u8>::default().noting(&mut conflict);
            prop_assert!(conflict, "it is not taken back");
        }
    }
}
