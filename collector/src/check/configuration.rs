//! A configuration in a manifest, and the forms in which Envoy's `configuration` carries it.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::yaml::{self, BOM, Kind, Node, Reader};

#[derive(Debug)]
pub(super) enum Configuration {
    Yaml(Rc<Node>, Reader),
    Text(Text),
}

/// JSON in a text.
#[derive(Debug)]
pub(super) struct Text {
    text: String,
    /// Line where it begins.
    line: usize,
    /// The parsed text with lines counted from its start, if it is a block.
    lines: Option<Rc<Node>>,
}

/// A configuration. If Envoy refuses it before it reaches the filter: the line and the reason.
pub(super) type Carried = (Configuration, Option<(usize, String)>);

impl Configuration {
    /// The configuration of a plugin that has none.
    pub(super) fn empty(line: usize) -> Self {
        Self::Text(Text {
            text: String::new(),
            line,
            lines: None,
        })
    }

    fn of(node: &Rc<Node>, reader: Reader) -> Self {
        node.text().map_or_else(
            || Self::Yaml(Rc::clone(node), reader),
            |text| Self::Text(Text::new(text, node)),
        )
    }

    /// The bytes that the filter gets.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Yaml(node, reader) => node.to_json(*reader).to_string().into_bytes(),
            Self::Text(text) => text.text.clone().into_bytes(),
        }
    }

    /// As JSON; null for a text that is not JSON.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Yaml(node, reader) => node.to_json(*reader),
            Self::Text(text) => {
                serde_json::from_str(text.text.trim_start_matches(BOM)).unwrap_or_default()
            }
        }
    }

    /// Whether one of these keys is in it.
    pub(super) fn has_any(&self, keys: &[&str]) -> bool {
        match self {
            Self::Yaml(node, _) => keys.iter().any(|key| node.get(key).is_some()),
            // A damaged text is recognized, too.
            Self::Text(text) => keys
                .iter()
                .any(|key| text.text.contains(&format!("\"{key}\""))),
        }
    }

    /// The line of the value at a path.
    pub(super) fn line_of(&self, path: &str) -> usize {
        match self {
            Self::Yaml(node, _) => node.line_of(path),
            Self::Text(Text { line, lines, .. }) => {
                line + lines.as_ref().map_or(0, |lines| lines.line_of(path) - 1)
            }
        }
    }
}

impl Text {
    fn new(text: &str, node: &Node) -> Self {
        // The line of a block is that of its first line that is not empty. JSON is YAML.
        let lines = || yaml::read(text.trim_start_matches('\n')).ok()?.pop();
        Self {
            text: text.to_owned(),
            line: node.line,
            lines: if node.is_block { lines() } else { None },
        }
    }
}

/// The content of Envoy's `configuration`, a `google.protobuf.Any`. A type with a special form in
/// JSON is in `value` (<https://protobuf.dev/programming-guides/json/>).
pub(super) fn of_any(any: &Rc<Node>, reader: Reader) -> Carried {
    let Some(value) = any.get("value") else {
        let sentence = "configuration: must have an @type, and the configuration in value";
        return (
            Configuration::of(any, reader),
            Some((any.line, sentence.to_owned())),
        );
    };

    let given = || Configuration::of(value, reader);
    let wrong = |sentence: &str| {
        (
            given(),
            Some((value.line, format!("configuration.{sentence}"))),
        )
    };
    let name = any
        .get("@type")
        .and_then(|name| name.text()?.rsplit_once('/'));
    let name = name
        .filter(|(host, _)| !host.is_empty())
        .map(|(_, name)| name)
        .unwrap_or_default();

    match (name, &value.kind) {
        ("google.protobuf.Struct", Kind::Map(_)) => (given(), None),
        ("google.protobuf.Struct", _) => wrong("value: must be a mapping for a Struct"),
        ("google.protobuf.StringValue", Kind::Scalar(Value::String(_))) => (given(), None),
        ("google.protobuf.StringValue", _) => {
            wrong("value: must be JSON in a text for a StringValue")
        }
        ("google.protobuf.BytesValue", kind) => {
            let text = if let Kind::Scalar(Value::String(text)) = kind {
                of_base64(text)
            } else {
                None
            };
            match text {
                Some(text) => (
                    Configuration::Text(Text {
                        text,
                        line: value.line,
                        lines: None,
                    }),
                    None,
                ),
                None => wrong("value: must be a text in base64 for a BytesValue"),
            }
        }
        _ => wrong(
            "@type: must be type.googleapis.com/ and google.protobuf.Struct, google.protobuf.StringValue or \
             google.protobuf.BytesValue",
        ),
    }
}

fn of_base64(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}
