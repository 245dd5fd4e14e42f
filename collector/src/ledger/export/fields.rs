//! The values of a line, taken one by one into another schema.

use serde_json::{Map, Value};

use super::line::Line;

/// The values that have no place in the other schema yet. A value of another type than the place
/// needs stays here.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn new(line: Line<'_>) -> Self {
        Self(line.values)
    }

    /// Takes a text.
    pub(super) fn text(&mut self, name: &str) -> Option<Value> {
        self.take(name, Value::is_string)
    }

    /// Takes a text that the other schema lists.
    pub(super) fn text_of(&mut self, name: &str, list: &[&str]) -> Option<Value> {
        self.take(name, |value| {
            value.as_str().is_some_and(|text| list.contains(&text))
        })
    }

    /// Takes an integer.
    pub(super) fn integer(&mut self, name: &str) -> Option<Value> {
        self.take(name, Value::is_i64)
    }

    /// Takes the number of a port.
    pub(super) fn port(&mut self, name: &str) -> Option<Value> {
        self.take(name, |value| {
            value
                .as_i64()
                .is_some_and(|port| u16::try_from(port).is_ok())
        })
    }

    /// Takes a duration; a negative one stays.
    pub(super) fn duration(&mut self, name: &str) -> Option<f64> {
        let is_duration = |value: &Value| value.as_f64().is_some_and(|number| number >= 0.0);
        self.take(name, is_duration)?.as_f64()
    }

    /// Leaves out what the other schema has in another form.
    pub(super) fn drop(&mut self, names: &[&str]) {
        for name in names {
            self.0.remove(*name);
        }
    }

    /// A text that stays.
    pub(super) fn see(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// An integer that stays.
    pub(super) fn see_integer(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }

    /// `start` or `end` when a rule calls the exchange a login or a logout, and the exchange has
    /// ended: the record of an earlier stage would be a second one.
    pub(super) fn session_event(&self) -> Option<&str> {
        let has_ended = !matches!(self.see("audit.stage"), Some("received" | "started"));
        self.see("audit.session.event").filter(|_| has_ended)
    }

    /// What was not taken.
    pub(super) fn rest(self) -> Map<String, Value> {
        self.0
    }

    fn take(&mut self, name: &str, has_type: impl Fn(&Value) -> bool) -> Option<Value> {
        let value = self.0.get(name)?;
        if has_type(value) {
            self.0.remove(name)
        } else {
            None
        }
    }
}

/// Members of an object; those without a value are absent.
pub(super) type Members<const N: usize> = [(&'static str, Option<Value>); N];

/// Adds the members that have a value.
pub(super) fn add<const N: usize>(object: &mut Map<String, Value>, members: Members<N>) {
    let there = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    object.extend(there);
}

/// An object of the members that have a value; `None` when none has.
pub(super) fn object<const N: usize>(members: Members<N>) -> Option<Value> {
    let mut object = Map::new();
    add(&mut object, members);
    (!object.is_empty()).then_some(Value::Object(object))
}
