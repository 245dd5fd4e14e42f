//! A configuration value with its path: typed readers that note every problem and continue.

use std::time::Duration;

use serde_json::{Map, Value};

use super::problems::Problems;
use super::shape::Shape;
use super::units;

/// One value of the configuration. Its path is searched only for a message, so that reading builds
/// no text.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    root: &'a Value,
    value: &'a Value,
    problems: &'a Problems,
    shape: Shape,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value, problems: &'a Problems) -> Self {
        Self {
            root: value,
            value,
            problems,
            shape: Shape::NOWHERE,
        }
    }

    /// The empty object as root while the schema is noted: each reader returns its smallest value.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn noted(empty: &'a Value, problems: &'a Problems, shape: Shape) -> Self {
        Self {
            root: empty,
            value: empty,
            problems,
            shape,
        }
    }

    /// Notes a problem with this value.
    pub(super) fn refuse(&self, sentence: &str) {
        self.refuse_below("", sentence);
    }

    /// Notes a warning about this value, which is accepted.
    pub(super) fn warn(&self, sentence: &str) {
        self.problems.warn(|| self.path(), sentence);
    }

    /// Notes a problem with a value that is missing below this one.
    pub(super) fn refuse_below(&self, below: &str, sentence: &str) {
        let path = || {
            let path = self.path() + below;
            path.strip_prefix('.').map(str::to_owned).unwrap_or(path)
        };
        self.problems.add(path, sentence);
    }

    fn path(&self) -> String {
        let path = path_to(self.value, self.root).unwrap_or_default();
        path.strip_prefix('.').map(str::to_owned).unwrap_or(path)
    }

    fn wrong<T>(&self, sentence: &str) -> Option<T> {
        self.refuse(sentence);
        None
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        if self.shape.text(true) {
            return Some("");
        }
        match self.value {
            Value::String(text) => Some(text),
            _ => self.wrong("must be a string"),
        }
    }

    /// The text if it is a string; the pattern (a regular expression, for the schema) describes the
    /// expected ones.
    pub(super) fn peek_like(&self, pattern: &'static str) -> Option<&'a str> {
        if self.shape.pattern(pattern) {
            return None;
        }
        self.value.as_str()
    }

    /// The text if it is a string; anything else is not yet a problem.
    pub(super) fn peek_text(&self) -> Option<&'a str> {
        if self.shape.text(false) {
            return None;
        }
        self.value.as_str()
    }

    pub(super) fn non_empty_text(&self) -> Option<&'a str> {
        if self.shape.text(false) {
            return Some("x");
        }
        match self.text()? {
            "" => self.wrong("must not be empty"),
            text => Some(text),
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        if self.shape.boolean() {
            return Some(true);
        }
        match self.value {
            Value::Bool(value) => Some(*value),
            _ => self.wrong("must be true or false"),
        }
    }

    /// An integer within `min..=max`; a string of digits counts, since Envoy's YAML reader makes
    /// such strings.
    pub(super) fn integer(&self, min: u64, max: u64) -> Option<u64> {
        if self.shape.integer(min, max) {
            return Some(min);
        }

        let Some(number) = whole_number(self.value) else {
            return self.wrong("must be an integer");
        };
        if number < min || number > max {
            return self.wrong(&format!("must be between {min} and {max}"));
        }

        Some(number)
    }

    /// An [`Self::integer`] that counts things in memory.
    pub(super) fn size(&self, min: u64, max: u64) -> Option<usize> {
        self.integer(min, max)
            .and_then(|number| usize::try_from(number).ok())
    }

    /// A duration such as `250ms` within `min..=max`.
    pub(super) fn duration(&self, min: Duration, max: Duration) -> Option<Duration> {
        if self.shape.duration() {
            return Some(min);
        }

        let Some(duration) = self.value.as_str().and_then(units::duration) else {
            return self.wrong(r#"must be a duration such as "250ms", "5s" or "1m""#);
        };
        if duration < min || duration > max {
            return self.wrong(&format!(
                "must be between {} and {}",
                units::text(min),
                units::text(max)
            ));
        }

        Some(duration)
    }

    /// One of the listed words; returns the value listed with it.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Some(words.get(self.index_in(&names)?)?.1)
    }

    /// One of the listed words, by its place in the list.
    fn index_in(&self, words: &[&str]) -> Option<usize> {
        if self.shape.words(words) {
            return Some(0);
        }
        let found = self
            .value
            .as_str()
            .and_then(|text| words.iter().position(|word| *word == text));
        found.or_else(|| self.wrong(&format!("must be one of {}", words.join(", "))))
    }

    pub(super) fn list(&self) -> Option<Vec<Node<'a>>> {
        if self.shape.list(true) {
            return Some(vec![self.item()]);
        }
        let Value::Array(items) = self.value else {
            return self.wrong("must be a list");
        };
        Some(items.iter().map(|value| self.at(value)).collect())
    }

    pub(super) fn non_empty_list(&self) -> Option<Vec<Node<'a>>> {
        if self.shape.list(false) {
            return Some(vec![self.item()]);
        }
        let items = self.list()?;
        if items.is_empty() {
            return self.wrong("must have at least one entry");
        }
        Some(items)
    }

    /// Reads every entry with `read`; entries that fail are noted by `read` and left out.
    pub(super) fn each<T>(&self, read: impl Fn(&Node<'a>) -> Option<T>) -> Vec<T> {
        read_all(self.list(), read)
    }

    /// Like [`Self::each`], and an empty list is a problem.
    pub(super) fn each_of_some<T>(&self, read: impl Fn(&Node<'a>) -> Option<T>) -> Vec<T> {
        read_all(self.non_empty_list(), read)
    }

    /// The keys of an object.
    pub(super) fn map(&self) -> Option<&'a Map<String, Value>> {
        match self.value {
            Value::Object(map) => Some(map),
            _ => self.wrong("must be an object"),
        }
    }

    /// The entries of an object with free keys, such as `tags`.
    pub(super) fn entries(&self) -> Option<Vec<(&'a str, Node<'a>)>> {
        if self.shape.object() {
            return Some(vec![(
                "x",
                Self {
                    shape: self.shape.entry(),
                    ..*self
                },
            )]);
        }

        Some(
            self.map()?
                .iter()
                .map(|(key, value)| (key.as_str(), self.at(value)))
                .collect(),
        )
    }

    pub(super) const fn shape(&self) -> Shape {
        self.shape
    }

    /// The value of a key while the schema is noted, where no object exists.
    pub(super) fn noted_field(&self, key: &'static str) -> Option<Self> {
        self.shape.is_noted().then(|| Self {
            shape: self.shape.field(key),
            ..*self
        })
    }

    pub(super) fn at(&self, value: &'a Value) -> Self {
        Self { value, ..*self }
    }

    fn item(&self) -> Self {
        Self {
            shape: self.shape.item(),
            ..*self
        }
    }
}

fn read_all<'a, T>(nodes: Option<Vec<Node<'a>>>, read: impl Fn(&Node<'a>) -> Option<T>) -> Vec<T> {
    let mut found = Vec::new();
    for node in nodes.unwrap_or_default() {
        found.extend(read(&node));
    }
    found
}

/// The path of a value below another one, e.g. `.rules[2].match.path.exact`. Values are identified
/// by their address.
fn path_to(sought: &Value, from: &Value) -> Option<String> {
    if std::ptr::eq(sought, from) {
        return Some(String::new());
    }

    match from {
        Value::Array(items) => {
            let below = |(index, item)| Some(format!("[{index}]{}", path_to(sought, item)?));
            items.iter().enumerate().find_map(below)
        }
        Value::Object(map) => map
            .iter()
            .find_map(|(key, item)| Some(format!(".{key}{}", path_to(sought, item)?))),
        _ => None,
    }
}

/// Integers up to 2^53 arrive as doubles from a protobuf Struct.
const MAX_EXACT_DOUBLE: f64 = 9_007_199_254_740_992.0;

fn whole_number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(exact)),
        Value::String(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok()
        }
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a whole number in range"
)]
fn exact(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..=MAX_EXACT_DOUBLE).contains(&number)).then_some(number as u64)
}
