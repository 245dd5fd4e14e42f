//! A configuration in a manifest, and the forms in which Envoy's `configuration` carries it.

use std::rc::Rc;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::keys;
use super::node::{Kind, Node};
use super::yaml::{self, BOM};

#[derive(Debug)]
pub(super) enum Configuration {
    Node(Rc<Node>),
    Text(Text),
}

/// JSON in a text.
#[derive(Debug)]
pub(super) struct Text {
    text: String,
    /// Line where it begins.
    line: usize,
    /// The parsed text, with lines counted from its start; `None` if it is not JSON.
    parsed: Option<Rc<Node>>,
    /// Its lines are those of the file.
    is_block: bool,
}

/// A configuration. If Envoy refuses it before it reaches the filter: the line and the reason.
pub(super) type Carried = (Configuration, Option<(usize, String)>);

impl Configuration {
    /// The configuration of a plugin that has none.
    pub(super) fn empty(line: usize) -> Self {
        Self::Text(Text::new(String::new(), line, false))
    }

    fn of(node: &Rc<Node>) -> Self {
        node.text().map_or_else(
            || Self::Node(Rc::clone(node)),
            |text| Self::Text(Text::new(text.to_owned(), node.line, node.is_block)),
        )
    }

    /// The bytes that the filter gets.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Node(node) => node.to_text().into_bytes(),
            Self::Text(text) => text.text.clone().into_bytes(),
        }
    }

    /// As JSON; null for a text that is not JSON.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Node(node) => node.to_json(),
            Self::Text(text) => {
                serde_json::from_str(text.text.trim_start_matches(BOM)).unwrap_or_default()
            }
        }
    }

    /// Whether its keys are those of the filter. A damaged text is recognized, too.
    pub(super) fn is_own(&self) -> bool {
        match self {
            Self::Node(node) => keys::are_own(node.keys()),
            Self::Text(text) => keys::are_own(keys::of_text(&text.text).into_iter()),
        }
    }

    /// The line of the value at a path.
    pub(super) fn line_of(&self, path: &str) -> usize {
        match self {
            Self::Node(node) => node.line_of(path),
            Self::Text(text) => {
                let lines = text.parsed.as_ref().filter(|_| text.is_block);
                text.line + lines.map_or(0, |lines| lines.line_of(path) - 1)
            }
        }
    }

    /// The text at a path.
    pub(super) fn text_at(&self, path: &str) -> Option<&str> {
        let root = match self {
            Self::Node(node) => node,
            Self::Text(text) => text.parsed.as_ref()?,
        };
        root.find(path)?.text()
    }
}

impl Text {
    /// The line of a block is that of its first line that is not empty.
    fn new(text: String, line: usize, is_block: bool) -> Self {
        let parsed = yaml::read_json(text.trim_start_matches('\n'));
        Self {
            text,
            line,
            parsed,
            is_block,
        }
    }
}

/// The content of Envoy's `configuration`, a `google.protobuf.Any`. A type with a special form in
/// JSON is in `value` (<https://protobuf.dev/programming-guides/json/>).
pub(super) fn of_any(any: &Rc<Node>) -> Carried {
    let Some(value) = any.get("value") else {
        let sentence = "configuration: must have an @type, and the configuration in value";
        return (
            Configuration::of(any),
            Some((any.line, sentence.to_owned())),
        );
    };

    let given = || Configuration::of(value);
    let wrong = |sentence: &str| {
        let sentence = format!("configuration.{sentence}");
        (given(), Some((value.line, sentence)))
    };
    if let Some(other) = any.keys().find(|key| !["@type", "value"].contains(key)) {
        return wrong(&format!("{other}: stands beside @type and value"));
    }

    match (type_name(any), &value.kind) {
        ("google.protobuf.Struct", Kind::Map(_)) => (given(), None),
        ("google.protobuf.Struct", _) => wrong("value: must be a mapping for a Struct"),
        ("google.protobuf.StringValue", Kind::Scalar(Value::String(_))) => (given(), None),
        ("google.protobuf.StringValue", _) => {
            wrong("value: must be JSON in a text for a StringValue")
        }
        ("google.protobuf.BytesValue", _) => match value.text().and_then(of_base64) {
            Some(text) => (
                Configuration::Text(Text::new(text, value.line, false)),
                None,
            ),
            None => wrong("value: must be a text in base64 for a BytesValue"),
        },
        _ => wrong(
            "@type: must be type.googleapis.com/ and google.protobuf.Struct, google.protobuf.StringValue or \
             google.protobuf.BytesValue",
        ),
    }
}

/// The name of the type, if its address has a host.
fn type_name(any: &Node) -> &str {
    let address = any.get("@type").and_then(|name| name.text());
    address
        .and_then(|address| address.rsplit_once('/'))
        .filter(|(host, _)| !host.is_empty())
        .map(|(_, name)| name)
        .unwrap_or_default()
}

/// Protobuf takes base64 with and without padding.
fn of_base64(text: &str) -> Option<String> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&STANDARD, config);
    String::from_utf8(engine.decode(text).ok()?).ok()
}
