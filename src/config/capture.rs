//! `capture` and `set_tracking` of a rule: which values are recorded, and which are handed to the
//! next hop.

use std::rc::Rc;

use super::node::Node;
use super::text::{header_name, header_value};
use super::value_source::context_source;
use crate::recorder::capture::redact::looks_secret;
use crate::recorder::capture::{Capture, MAX_NAMES, Wanted};
use crate::recorder::tracking::MAX_OPERATION_BYTES;
use crate::recorder::tracking::set_tracking::{ContextSource, MAX_CONTEXT_FIELDS, SetTracking};

/// Reads `capture`, which requires the level `request`.
pub(super) fn capture(node: Option<Node<'_>>, is_level_request: bool) -> Capture {
    let Some((node, mut object)) = node.and_then(|node| Some((node, node.object()?))) else {
        return Capture::default();
    };

    let mut names = |kind: &'static str, read: fn(&Node<'_>) -> Option<String>| {
        object
            .field(kind)
            .map(|node| wanted(&node, kind, read))
            .unwrap_or_default()
    };

    let capture = Capture {
        query: names("query", parameter),
        request_headers: names("request_headers", header_name),
        response_headers: names("response_headers", header_name),
    };
    object.finish();

    if capture != Capture::default() && !is_level_request {
        node.refuse("needs level: request");
    }
    capture
}

fn wanted(node: &Node<'_>, kind: &str, read: fn(&Node<'_>) -> Option<String>) -> Vec<Wanted> {
    let wanted = node.each(|entry| {
        let name = read(entry)?;
        let attribute = Rc::from(["audit.capture.", kind, ".", &name].concat());
        Some(Wanted {
            is_secret: looks_secret(&name),
            attribute,
            name,
        })
    });

    let is_repeated = |(index, name): (usize, &Wanted)| {
        wanted
            .iter()
            .take(index)
            .any(|other| other.name == name.name)
    };

    if wanted.iter().enumerate().any(is_repeated) {
        node.refuse("must not have an entry twice");
    }
    if wanted.len() > MAX_NAMES {
        node.refuse(&format!("must have at most {MAX_NAMES} entries"));
    }
    wanted
}

/// The name of a query parameter becomes part of an attribute's name.
fn parameter(node: &Node<'_>) -> Option<String> {
    let name = node.non_empty_text()?;
    if !name
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
    {
        node.refuse(r#"must be made of visible ASCII other than " and \"#);
        return None;
    }
    Some(name.to_owned())
}

/// Reads `set_tracking`; an empty object has no effect.
pub(super) fn set_tracking(node: Option<Node<'_>>) -> Option<SetTracking> {
    let mut object = node?.object()?;
    let is_asked_for = !object.is_empty();

    let operation = object
        .field("operation")
        .and_then(|node| operation(&node))
        .filter(|text| !text.is_empty());
    let context = object
        .field("context")
        .map(|node| context(&node))
        .unwrap_or_default();
    object.finish();

    is_asked_for.then_some(SetTracking { operation, context })
}

fn operation(node: &Node<'_>) -> Option<String> {
    let text = header_value(node)?;
    if text.len() > MAX_OPERATION_BYTES {
        node.refuse(&format!(
            "must not be longer than {MAX_OPERATION_BYTES} bytes"
        ));
    }
    Some(text)
}

fn context(node: &Node<'_>) -> Vec<(String, ContextSource)> {
    let entries = node.entries().unwrap_or_default();
    if entries.len() > MAX_CONTEXT_FIELDS {
        node.refuse(&format!("must have at most {MAX_CONTEXT_FIELDS} fields"));
    }

    let mut fields = Vec::new();
    for (name, node) in entries {
        if let Some(source) = context_source(&node) {
            fields.push((name.to_owned(), source));
        }
    }
    fields
}
