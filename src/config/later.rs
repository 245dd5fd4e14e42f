//! Keys of the contract that have no effect in this version: their values are checked all the same, and anything but
//! "nothing" is refused, so that nobody believes to be protected by a key that does nothing.

use super::node::Node;
use super::text::header_name;

/// The sentence for a key without effect.
pub(super) const NOT_SUPPORTED: &str = "not supported yet";

/// A word whose first choice asks for nothing.
pub(super) fn only_default(node: Option<Node<'_>>, words: &[&str]) {
    let Some(node) = node else { return };
    let numbered: Vec<(&str, usize)> = words.iter().enumerate().map(|(index, word)| (*word, index)).collect();
    if node.one_of(&numbered).is_some_and(|index| index > 0) {
        node.refuse(NOT_SUPPORTED);
    }
}

/// A flag that asks for nothing when it is false.
pub(super) fn only_false(node: Option<Node<'_>>) {
    let Some(node) = node else { return };
    if node.boolean() == Some(true) {
        node.refuse(NOT_SUPPORTED);
    }
}

/// A list whose entries are checked, and that asks for nothing when it is empty.
pub(super) fn only_empty_list<T>(node: Option<Node<'_>>, read: impl Fn(&Node<'_>) -> Option<T>) {
    let Some(node) = node else { return };
    if !node.each(|entry| Some(read(entry))).is_empty() {
        node.refuse(NOT_SUPPORTED);
    }
}

/// Reads `session`.
pub(super) fn session(node: Option<Node<'_>>) {
    let Some(mut object) = node.and_then(|node| node.object()) else { return };
    only_empty_list(object.field("id"), session_source);
    only_empty_list(object.field("token"), session_source);
    only_default(object.field("token_mode"), &["omit", "hmac", "sha256", "clear"]);
    only_empty_text(object.field("hmac_key"));
    only_empty_text(object.field("hmac_key_id"));
    object.finish();
}

/// Reads `identity`, global or of a rule.
pub(super) fn identity(node: Option<Node<'_>>) {
    let Some(mut object) = node.and_then(|node| node.object()) else { return };
    for field in ["user_id", "user_name", "user_email"] {
        only_empty_list(object.field(field), identity_source);
    }
    if let Some(node) = object.field("max_body_bytes")
        && node.integer(1, 1 << 20).is_some()
    {
        node.refuse(NOT_SUPPORTED);
    }
    object.finish();
}

/// Reads `capture` of a rule.
pub(super) fn capture(node: Option<Node<'_>>) {
    let Some(mut object) = node.and_then(|node| node.object()) else { return };
    only_empty_list(object.field("query"), |name| name.non_empty_text().map(str::to_owned));
    only_empty_list(object.field("request_headers"), header_name);
    only_empty_list(object.field("response_headers"), header_name);
    object.finish();
}

/// Reads `set_tracking` of a rule.
pub(super) fn set_tracking(node: Option<Node<'_>>) {
    let Some(node) = node else { return };
    let Some(mut object) = node.object() else { return };
    let asks_for_something = object.len() > 0;
    object.read("operation", String::new(), |node| node.text().map(str::to_owned));
    for (_, source) in object.field("context").and_then(|node| node.entries()).unwrap_or_default() {
        identity_source(&source);
    }
    object.finish();
    if asks_for_something {
        node.refuse(NOT_SUPPORTED);
    }
}

fn only_empty_text(node: Option<Node<'_>>) {
    let Some(node) = node else { return };
    if node.text().is_some_and(|text| !text.is_empty()) {
        node.refuse(NOT_SUPPORTED);
    }
}

fn session_source(node: &Node<'_>) -> Option<()> {
    source(node, &["header", "cookie", "bearer"])
}

fn identity_source(node: &Node<'_>) -> Option<()> {
    source(node, &["header", "cookie", "response_header", "response_json", "metadata", "peer_uri_san"])
}

/// An object with exactly one of the keys, each of which names where a value comes from.
fn source(node: &Node<'_>, keys: &[&'static str]) -> Option<()> {
    let mut object = node.object()?;
    if object.len() != 1 {
        node.refuse(&format!("must have exactly one of {}", keys.join(", ")));
    }
    for key in keys {
        let Some(value) = object.field(key) else { continue };
        match *key {
            "bearer" | "peer_uri_san" if value.boolean() == Some(false) => value.refuse("must be true"),
            "bearer" | "peer_uri_san" => {}
            "response_json" if value.text().is_some_and(|text| !text.is_empty() && !text.starts_with('/')) => {
                value.refuse(r#"must be a JSON pointer (RFC 6901): empty, or starting with "/""#);
            }
            "response_json" => {}
            "header" | "response_header" => drop(header_name(&value)),
            _ => drop(value.non_empty_text()),
        }
    }
    object.finish();
    Some(())
}
