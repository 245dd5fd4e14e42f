//! The JSON Schema of a configuration, derived from the parser's reads. It covers structure: keys,
//! types, words, ranges. Only the parser checks the form of texts and the dependencies between
//! values.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::node::Node;
use super::problems::Problems;
use super::shape::{Kind, Place, Shape, Step};
use super::{DEFAULTS, read};

/// Names the schema and its version, which is that of the crate.
const ID: &str = concat!("urn:audit-filter:configuration:", env!("CARGO_PKG_VERSION"));

/// A sentence for each key, by its path.
const DESCRIPTIONS: &str = include_str!("descriptions.json");

/// A string with a variable may become any value.
const VARIABLE: &str = r"\$\{";

static EMPTY: LazyLock<Value> = LazyLock::new(|| json!({}));

/// The schema, draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    let root = Place::new();
    let problems = Problems::default();
    // The empty object is refused; only the noted reads matter.
    let _ = Node::noted(&EMPTY, &problems, Shape::at(root))
        .object()
        .and_then(read);

    let described = Described {
        defaults: serde_json::from_str(DEFAULTS).unwrap_or_default(),
        descriptions: serde_json::from_str(DESCRIPTIONS).unwrap_or_default(),
    };
    let mut schema = described.of(root, "");

    if let Some(map) = schema.as_object_mut() {
        map.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        map.insert("$id".to_owned(), json!(ID));
        map.insert("title".to_owned(), json!("Configuration of audit-filter"));
    }
    schema
}

struct Described {
    defaults: Value,
    descriptions: Map<String, Value>,
}

impl Described {
    fn of(&self, place: &Place, path: &str) -> Value {
        let mut choices: Vec<Value> = Vec::new();
        for kind in &*place.kinds.borrow() {
            choices.extend(self.choices(kind, place, path));
        }

        let mut schema = match choices.len() {
            1 => choices.remove(0),
            _ => json!({"anyOf": choices}),
        };

        if let Some(map) = schema.as_object_mut() {
            if let Some(description) = self.description(path) {
                map.insert("description".to_owned(), description.clone());
            }
            if let Some(default) = self
                .defaults
                .pointer(&format!("/{}", path.replace('.', "/")))
                .filter(|_| !path.is_empty())
            {
                map.insert("default".to_owned(), default.clone());
            }
        }
        schema
    }

    /// The description of the path. A rule's `identity` has the keys of the global one, and a
    /// source is the same in every list.
    fn description(&self, path: &str) -> Option<&Value> {
        let global = path.strip_prefix("rules[].").unwrap_or(path);
        let (parent, key) = global.rsplit_once('.').unwrap_or(("", global));
        let source =
            || (parent.ends_with("[]") || parent.ends_with('*')).then(|| format!("source.{key}"));
        let found = self
            .descriptions
            .get(path)
            .or_else(|| self.descriptions.get(global));
        found.or_else(|| self.descriptions.get(&source()?))
    }

    fn choices(&self, kind: &Kind, place: &Place, path: &str) -> Vec<Value> {
        let variable = || json!({"type": "string", "pattern": VARIABLE});

        match kind {
            Kind::Text {
                is_empty_allowed: true,
            } => vec![json!({"type": "string"})],
            Kind::Text {
                is_empty_allowed: false,
            } => vec![json!({"type": "string", "minLength": 1})],
            Kind::Pattern(pattern) => vec![json!({"type": "string", "pattern": pattern})],
            Kind::Boolean => vec![json!({"type": "boolean"})],
            Kind::Integer { min, max } => vec![
                json!({"type": "integer", "minimum": min, "maximum": max}),
                json!({"type": "string", "pattern": format!("^[0-9]+$|{VARIABLE}")}),
            ],
            Kind::Duration => {
                vec![
                    json!({"type": "string", "pattern": format!(r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$|{VARIABLE}")}),
                ]
            }
            Kind::Words(words) => vec![json!({"enum": words}), variable()],
            Kind::List { is_empty_allowed } => {
                let mut list = json!({"type": "array", "items": self.below(place, Step::Item, &format!("{path}[]"))});
                if let Some(map) = list.as_object_mut().filter(|_| !is_empty_allowed) {
                    map.insert("minItems".to_owned(), json!(1));
                }
                vec![list]
            }
            Kind::Object => vec![self.object(place, path)],
        }
    }

    fn below(&self, place: &Place, step: Step, path: &str) -> Value {
        let below = place.below.borrow();
        below
            .iter()
            .find(|(known, _)| *known == step)
            .map_or(Value::Null, |(_, place)| self.of(place, path))
    }

    fn object(&self, place: &Place, path: &str) -> Value {
        let (mut properties, mut others) = (Map::new(), json!(false));
        for (step, below) in &*place.below.borrow() {
            match step {
                Step::Field(key) => {
                    let path = if path.is_empty() {
                        (*key).to_owned()
                    } else {
                        format!("{path}.{key}")
                    };
                    properties.insert((*key).to_owned(), self.of(below, &path));
                }
                Step::Entry => others = self.of(below, &format!("{path}.*")),
                Step::Item => {}
            }
        }

        let mut schema =
            json!({"type": "object", "properties": properties, "additionalProperties": others});
        if let Some(map) = schema.as_object_mut() {
            let required = place.required.borrow();
            if !required.is_empty() {
                map.insert("required".to_owned(), json!(*required));
            }

            if let Some(optional) = &*place.one_beside.borrow() {
                let is_choice =
                    |key: &&'static str| !required.contains(key) && !optional.contains(key);
                let choices: Vec<_> = place
                    .keys()
                    .into_iter()
                    .filter(is_choice)
                    .map(|key| json!({"required": [key]}))
                    .collect();
                map.insert("oneOf".to_owned(), json!(choices));
            }
        }
        schema
    }
}
