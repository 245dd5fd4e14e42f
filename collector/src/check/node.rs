//! A tree of values with their lines.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::paths;

/// A value and the line where it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    /// A block (`|`): its text begins on the next line and keeps the lines of the file.
    pub(super) is_block: bool,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar(Value),
    List(Vec<Rc<Node>>),
    /// In the order of the text. The line is that of the key.
    Map(Vec<(String, usize, Rc<Node>)>),
}

/// A line, and a sentence about it; line 0 is the whole file.
pub(super) type Remark = (usize, String);

impl Node {
    pub(super) fn new(line: usize, kind: Kind) -> Rc<Self> {
        Rc::new(Self {
            line,
            is_block: false,
            kind,
        })
    }

    pub(super) fn get(&self, key: &str) -> Option<&Rc<Self>> {
        let Kind::Map(entries) = &self.kind else {
            return None;
        };
        entries
            .iter()
            .find(|(name, ..)| name == key)
            .map(|(.., value)| value)
    }

    /// The value under the first of these keys that exists.
    pub(super) fn either(&self, keys: [&str; 2]) -> Option<&Rc<Self>> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// The value below these keys.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |node, key| node.get(key).map(Rc::as_ref))
    }

    pub(super) fn text(&self) -> Option<&str> {
        let Kind::Scalar(Value::String(text)) = &self.kind else {
            return None;
        };
        Some(text)
    }

    pub(super) fn items(&self) -> &[Rc<Self>] {
        if let Kind::List(items) = &self.kind {
            items
        } else {
            &[]
        }
    }

    /// The keys of a map; empty for anything else.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> + Clone {
        let entries = if let Kind::Map(entries) = &self.kind {
            entries.as_slice()
        } else {
            &[]
        };
        entries.iter().map(|(key, ..)| key.as_str())
    }

    /// The direct children.
    pub(super) fn children(&self) -> Vec<&Rc<Self>> {
        match &self.kind {
            Kind::Scalar(_) => Vec::new(),
            Kind::List(items) => items.iter().collect(),
            Kind::Map(entries) => entries.iter().map(|(.., value)| value).collect(),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        matches!(self.kind, Kind::Scalar(Value::Bool(true)))
    }

    /// As JSON text, repeated keys included.
    pub(super) fn to_text(&self) -> String {
        match &self.kind {
            Kind::Scalar(value) => value.to_string(),
            Kind::List(items) => {
                let items: Vec<String> = items.iter().map(|item| item.to_text()).collect();
                format!("[{}]", items.join(","))
            }
            Kind::Map(entries) => {
                let entry = |(key, _, value): &(String, usize, Rc<Self>)| {
                    format!("{}:{}", Value::from(key.as_str()), value.to_text())
                };
                let entries: Vec<String> = entries.iter().map(entry).collect();
                format!("{{{}}}", entries.join(","))
            }
        }
    }

    /// As JSON. Of a repeated key the last value counts.
    pub(super) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::List(items) => items.iter().map(|item| item.to_json()).collect(),
            Kind::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, _, value)| (key.clone(), value.to_json()));
                Value::Object(entries.collect::<Map<_, _>>())
            }
        }
    }

    /// The line of the value at a path such as `rules[2].match.path`, or of its deepest part that
    /// exists.
    pub(super) fn line_of(&self, path: &str) -> usize {
        self.follow(path).1
    }

    /// The value at a path.
    pub(super) fn find(&self, path: &str) -> Option<&Self> {
        let (node, _, rest) = self.follow(path);
        rest.is_empty().then_some(node)
    }

    /// Follows a path as far as it exists: the node there, its line, and the rest of the path.
    fn follow<'p>(&self, path: &'p str) -> (&Self, usize, &'p str) {
        let (mut node, mut line, mut rest) = (self, self.line, path);
        while !rest.is_empty() {
            let Some((found, at, left)) = node.step(rest) else {
                break;
            };
            (node, line, rest) = (found, at, left);
        }
        (node, line, rest)
    }

    /// Follows the first part of a path. Returns the node, its line, and the rest of the path. A
    /// key may contain dots.
    fn step<'p>(&self, path: &'p str) -> Option<(&Self, usize, &'p str)> {
        match &self.kind {
            Kind::Scalar(_) => None,
            Kind::List(items) => {
                let (index, rest) = paths::index(path)?;
                let item = items.get(index)?;
                Some((item, item.line, rest))
            }
            Kind::Map(entries) => {
                let found = entries.iter().filter_map(|(key, line, value)| {
                    Some((value.as_ref(), *line, paths::after_key(path, key)?))
                });
                found.min_by_key(|(.., rest)| rest.len())
            }
        }
    }
}
