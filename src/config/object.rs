//! An object of the configuration: its keys are read one by one, and unread keys are refused.

use serde_json::{Map, Value};

use super::node::Node;

/// An object with a fixed set of keys.
pub(super) struct Object<'a> {
    node: Node<'a>,
    map: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Node<'a> {
    /// The value as an object.
    pub(super) fn object(&self) -> Option<Object<'a>> {
        self.shape().object();
        Some(Object {
            node: *self,
            map: self.map()?,
            known: Vec::new(),
        })
    }
}

impl<'a> Object<'a> {
    /// The value under `key`, if present.
    pub(super) fn field(&mut self, key: &'static str) -> Option<Node<'a>> {
        if let Some(node) = self.node.noted_field(key) {
            return Some(node);
        }
        self.known.push(key);
        self.map.get(key).map(|value| self.node.at(value))
    }

    /// The value under `key`; its absence is a problem.
    pub(super) fn required(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.node.shape().require(key);
        let field = self.field(key);
        if field.is_none() {
            self.node.refuse_below(&format!(".{key}"), "is required");
        }
        field
    }

    /// Reads `key` with `read`, or yields the default when the key is absent or wrong.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl Fn(&Node<'a>) -> Option<T>,
    ) -> T {
        self.field(key)
            .and_then(|node| read(&node))
            .unwrap_or(default)
    }

    /// Ends the reading of this object: every unread key is a problem.
    pub(super) fn finish(self) {
        for (key, value) in self.map {
            if !self.known.contains(&key.as_str()) {
                self.node.at(value).refuse(&format!(
                    "unknown key (known here: {})",
                    self.known.join(", ")
                ));
            }
        }
    }

    pub(super) fn refuse(&self, sentence: &str) {
        self.node.refuse(sentence);
    }

    pub(super) fn warn(&self, sentence: &str) {
        self.node.warn(sentence);
    }

    /// Refuses an object unless it has exactly `count` keys beside the optional ones: the required
    /// keys, and one of the others.
    pub(super) fn expect_keys(&self, count: usize, optional: &[&'static str], sentence: &str) {
        self.node.shape().one_beside(optional);
        let others = optional
            .iter()
            .filter(|key| self.map.contains_key(**key))
            .count();
        if self.map.len() != count + others {
            self.refuse(sentence);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}
