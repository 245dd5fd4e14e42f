//! A configuration value with its path: typed readers that note every problem and go on.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::{Map, Value};

use super::units;

/// All that was found so far, each `path: sentence`, in the order of discovery.
///
/// A sentence never quotes a value: values may hold secrets, and the line ends in Envoy's log.
#[derive(Debug, Default)]
pub(super) struct Problems {
    /// What the configuration is refused for.
    refused: RefCell<Vec<String>>,
    /// What it is accepted with.
    warned: RefCell<Vec<String>>,
}

impl Problems {
    pub(super) fn add(&self, path: &str, sentence: &str) {
        add(&self.refused, path, sentence);
    }

    pub(super) fn warn(&self, path: &str, sentence: &str) {
        add(&self.warned, path, sentence);
    }

    /// The problems, and the warnings.
    pub(super) fn into_vecs(self) -> (Vec<String>, Vec<String>) {
        (self.refused.into_inner(), self.warned.into_inner())
    }
}

fn add(list: &RefCell<Vec<String>>, path: &str, sentence: &str) {
    let place = if path.is_empty() { "configuration" } else { path };
    list.borrow_mut().push(format!("{place}: {sentence}"));
}

/// One value of the configuration. Where it stands is searched when there is something to say about it, so that
/// reading carries no text along.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    root: &'a Value,
    value: &'a Value,
    problems: &'a Problems,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value, problems: &'a Problems) -> Self {
        Self { root: value, value, problems }
    }

    /// Notes a problem with this value.
    pub(super) fn refuse(&self, sentence: &str) {
        self.refuse_below("", sentence);
    }

    /// Notes what an operator should know of this value, though it is accepted.
    pub(super) fn warn(&self, sentence: &str) {
        self.problems.warn(&self.path(), sentence);
    }

    /// Notes a problem with what should stand below this value.
    fn refuse_below(&self, below: &str, sentence: &str) {
        let path = self.path() + below;
        self.problems.add(path.strip_prefix('.').unwrap_or(&path), sentence);
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
        match self.value {
            Value::String(text) => Some(text),
            _ => self.wrong("must be a string"),
        }
    }

    /// The text if it is a string; anything else is no problem yet.
    pub(super) fn peek_text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    pub(super) fn non_empty_text(&self) -> Option<&'a str> {
        match self.text()? {
            "" => self.wrong("must not be empty"),
            text => Some(text),
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(*value),
            _ => self.wrong("must be true or false"),
        }
    }

    /// An integer within `min..=max`; a string of digits counts, since Envoy's YAML reader makes such strings.
    pub(super) fn integer(&self, min: u64, max: u64) -> Option<u64> {
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
        self.integer(min, max).and_then(|number| usize::try_from(number).ok())
    }

    /// A duration such as `250ms` within `min..=max`.
    pub(super) fn duration(&self, min: Duration, max: Duration) -> Option<Duration> {
        let Some(duration) = self.value.as_str().and_then(units::duration) else {
            return self.wrong(r#"must be a duration such as "250ms", "5s" or "1m""#);
        };
        if duration < min || duration > max {
            return self.wrong(&format!("must be between {} and {}", units::text(min), units::text(max)));
        }
        Some(duration)
    }

    /// One of the listed words; yields the value that stands beside it.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Some(words.get(self.index_in(&names)?)?.1)
    }

    /// One of the listed words, by its place in the list.
    fn index_in(&self, words: &[&str]) -> Option<usize> {
        let found = self.value.as_str().and_then(|text| words.iter().position(|word| *word == text));
        found.or_else(|| self.wrong(&format!("must be one of {}", words.join(", "))))
    }

    pub(super) fn list(&self) -> Option<Vec<Node<'a>>> {
        let Value::Array(items) = self.value else {
            return self.wrong("must be a list");
        };
        Some(items.iter().map(|value| self.at(value)).collect())
    }

    pub(super) fn non_empty_list(&self) -> Option<Vec<Node<'a>>> {
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

    pub(super) fn object(&self) -> Option<Object<'a>> {
        let Value::Object(map) = self.value else {
            return self.wrong("must be an object");
        };
        Some(Object { node: *self, map, known: Vec::new() })
    }

    /// The entries of an object with free keys, such as `tags`.
    pub(super) fn entries(&self) -> Option<Vec<(&'a str, Node<'a>)>> {
        let Value::Object(map) = self.value else {
            return self.wrong("must be an object");
        };
        Some(map.iter().map(|(key, value)| (key.as_str(), self.at(value))).collect())
    }

    fn at(&self, value: &'a Value) -> Self {
        Self { value, ..*self }
    }
}

fn read_all<'a, T>(nodes: Option<Vec<Node<'a>>>, read: impl Fn(&Node<'a>) -> Option<T>) -> Vec<T> {
    let mut found = Vec::new();
    for node in nodes.unwrap_or_default() {
        found.extend(read(&node));
    }
    found
}

/// Where a value stands below another one, e.g. `.rules[2].match.path.exact`: values are told apart by their place in
/// memory.
fn path_to(sought: &Value, from: &Value) -> Option<String> {
    if std::ptr::eq(sought, from) {
        return Some(String::new());
    }
    match from {
        Value::Array(items) => {
            let below = |(index, item)| Some(format!("[{index}]{}", path_to(sought, item)?));
            items.iter().enumerate().find_map(below)
        }
        Value::Object(map) => map.iter().find_map(|(key, item)| Some(format!(".{key}{}", path_to(sought, item)?))),
        _ => None,
    }
}

/// An object whose keys are all known by name.
pub(super) struct Object<'a> {
    node: Node<'a>,
    map: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Object<'a> {
    /// The value under `key`, if present.
    pub(super) fn field(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.known.push(key);
        self.map.get(key).map(|value| self.node.at(value))
    }

    /// The value under `key`; its absence is a problem.
    pub(super) fn required(&mut self, key: &'static str) -> Option<Node<'a>> {
        let field = self.field(key);
        if field.is_none() {
            self.node.refuse_below(&format!(".{key}"), "is required");
        }
        field
    }

    /// Reads `key` with `read`, or yields the default when the key is absent or wrong.
    pub(super) fn read<T>(&mut self, key: &'static str, default: T, read: impl Fn(&Node<'a>) -> Option<T>) -> T {
        self.field(key).and_then(|node| read(&node)).unwrap_or(default)
    }

    /// Ends the reading of this object: every key that nobody asked for is a problem.
    pub(super) fn finish(self) {
        for (key, value) in self.map {
            if !self.known.contains(&key.as_str()) {
                self.node.at(value).refuse(&format!("unknown key (known here: {})", self.known.join(", ")));
            }
        }
    }

    pub(super) fn refuse(&self, sentence: &str) {
        self.node.refuse(sentence);
    }

    pub(super) fn warn(&self, sentence: &str) {
        self.node.warn(sentence);
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }
}

/// Integers up to 2^53 arrive as doubles from a protobuf Struct.
const MAX_EXACT_DOUBLE: f64 = 9_007_199_254_740_992.0;

fn whole_number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(exact)),
        Value::String(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a whole number in range")]
fn exact(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..=MAX_EXACT_DOUBLE).contains(&number)).then_some(number as u64)
}
