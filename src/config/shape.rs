//! The parser's reads, noted while it reads an empty configuration: the JSON Schema is derived from
//! the parser itself. Built natively only; the wasm stand-in costs nothing.

#[cfg(not(target_family = "wasm"))]
pub(super) use recorded::{Kind, Place, Shape, Step};
#[cfg(target_family = "wasm")]
pub(super) use unrecorded::Shape;

#[cfg(not(target_family = "wasm"))]
mod recorded {
    use std::cell::RefCell;

    /// The kinds of values.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(in crate::config) enum Kind {
        Text { is_empty_allowed: bool },
        Pattern(&'static str),
        Boolean,
        Integer { min: u64, max: u64 },
        Duration,
        Words(Vec<String>),
        List { is_empty_allowed: bool },
        Object,
    }

    /// From a value to one below.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in crate::config) enum Step {
        Field(&'static str),
        /// Any key of an object with free keys.
        Entry,
        Item,
    }

    /// The reads at one place.
    #[derive(Debug, Default)]
    pub(in crate::config) struct Place {
        pub(in crate::config) kinds: RefCell<Vec<Kind>>,
        pub(in crate::config) below: RefCell<Vec<(Step, &'static Place)>>,
        pub(in crate::config) required: RefCell<Vec<&'static str>>,
        /// Whether there must be exactly one key beside the required ones and these.
        pub(in crate::config) one_beside: RefCell<Option<Vec<&'static str>>>,
    }

    impl Place {
        /// A place for the life of the program: the schema is made once.
        pub(in crate::config) fn new() -> &'static Self {
            Box::leak(Box::default())
        }

        /// The keys that are read here.
        pub(in crate::config) fn keys(&self) -> Vec<&'static str> {
            let below = self.below.borrow();
            below
                .iter()
                .filter_map(|(step, _)| {
                    if let Step::Field(key) = step {
                        Some(*key)
                    } else {
                        None
                    }
                })
                .collect()
        }

        fn step(&self, step: Step) -> &'static Self {
            let mut below = self.below.borrow_mut();
            if let Some((_, place)) = below.iter().find(|(known, _)| *known == step) {
                return place;
            }
            let place = Self::new();
            below.push((step, place));
            place
        }
    }

    /// Where a value is noted; nowhere while a configuration is read.
    #[derive(Clone, Copy, Debug)]
    pub(in crate::config) struct Shape(Option<&'static Place>);

    impl Shape {
        pub(in crate::config) const NOWHERE: Self = Self(None);

        pub(in crate::config) fn at(place: &'static Place) -> Self {
            Self(Some(place))
        }

        pub(in crate::config) fn is_noted(self) -> bool {
            self.0.is_some()
        }

        fn note(self, kind: Kind) -> bool {
            let Some(place) = self.0 else { return false };
            let mut kinds = place.kinds.borrow_mut();
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
            true
        }

        pub(in crate::config) fn text(self, is_empty_allowed: bool) -> bool {
            self.note(Kind::Text { is_empty_allowed })
        }

        pub(in crate::config) fn pattern(self, pattern: &'static str) -> bool {
            self.note(Kind::Pattern(pattern))
        }

        pub(in crate::config) fn boolean(self) -> bool {
            self.note(Kind::Boolean)
        }

        pub(in crate::config) fn integer(self, min: u64, max: u64) -> bool {
            self.note(Kind::Integer { min, max })
        }

        pub(in crate::config) fn duration(self) -> bool {
            self.note(Kind::Duration)
        }

        pub(in crate::config) fn words(self, words: &[&str]) -> bool {
            self.note(Kind::Words(
                words.iter().map(|word| (*word).to_owned()).collect(),
            ))
        }

        pub(in crate::config) fn list(self, is_empty_allowed: bool) -> bool {
            self.note(Kind::List { is_empty_allowed })
        }

        pub(in crate::config) fn object(self) -> bool {
            self.note(Kind::Object)
        }

        pub(in crate::config) fn one_beside(self, optional: &[&'static str]) {
            if let Some(place) = self.0 {
                *place.one_beside.borrow_mut() = Some(optional.to_vec());
            }
        }

        pub(in crate::config) fn require(self, key: &'static str) {
            if let Some(place) = self.0 {
                place.required.borrow_mut().push(key);
            }
        }

        pub(in crate::config) fn field(self, key: &'static str) -> Self {
            Self(self.0.map(|place| place.step(Step::Field(key))))
        }

        pub(in crate::config) fn entry(self) -> Self {
            Self(self.0.map(|place| place.step(Step::Entry)))
        }

        pub(in crate::config) fn item(self) -> Self {
            Self(self.0.map(|place| place.step(Step::Item)))
        }
    }
}

#[cfg(target_family = "wasm")]
mod unrecorded {
    /// Notes nothing.
    #[derive(Clone, Copy, Debug)]
    pub(in crate::config) struct Shape;

    impl Shape {
        pub(in crate::config) const NOWHERE: Self = Self;

        pub(in crate::config) const fn is_noted(self) -> bool {
            false
        }

        pub(in crate::config) const fn text(self, _: bool) -> bool {
            false
        }

        pub(in crate::config) const fn pattern(self, _: &'static str) -> bool {
            false
        }

        pub(in crate::config) const fn boolean(self) -> bool {
            false
        }

        pub(in crate::config) const fn integer(self, _: u64, _: u64) -> bool {
            false
        }

        pub(in crate::config) const fn duration(self) -> bool {
            false
        }

        pub(in crate::config) const fn words(self, _: &[&str]) -> bool {
            false
        }

        pub(in crate::config) const fn list(self, _: bool) -> bool {
            false
        }

        pub(in crate::config) const fn object(self) -> bool {
            false
        }

        pub(in crate::config) const fn one_beside(self, _: &[&'static str]) {}

        pub(in crate::config) const fn require(self, _: &'static str) {}

        pub(in crate::config) const fn field(self, _: &'static str) -> Self {
            self
        }

        pub(in crate::config) const fn entry(self) -> Self {
            self
        }

        pub(in crate::config) const fn item(self) -> Self {
            self
        }
    }
}
