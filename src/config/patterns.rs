//! Patterns of hosts and paths. A pattern that no request can match is refused: its rule would
//! audit nothing.

use super::node::Node;
use crate::recorder::rules::{Conditions, HostPattern, PathPattern};
use crate::recorder::uri::authority::literal;
use crate::recorder::uri::escapes::respelled;
use crate::recorder::uri::path;
use crate::recorder::uri::template::Template;

/// Reads an entry of `match.hosts`.
pub(super) fn host(node: &Node<'_>) -> Option<HostPattern> {
    let text = node.non_empty_text()?.to_ascii_lowercase();
    let address = literal(text.as_bytes()).map(HostPattern::Literal);
    let pattern = address.or_else(|| match text.strip_prefix('*') {
        Some(end) => end
            .strip_prefix('.')
            .is_some_and(is_name)
            .then(|| HostPattern::Suffix(end.to_owned())),
        None => is_name(&text).then(|| HostPattern::Exact(text.clone())),
    });

    if pattern.is_none() {
        node.refuse(
            r#"must be a host name in ASCII, "*." and the end of one, or an IPv6 address in brackets; without port, user information and final dot"#,
        );
    }
    pattern
}

/// Labels of letters, digits, `-` and `_`: the names allowed by DNS and Kubernetes.
fn is_name(text: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    text.split('.')
        .all(|label| !label.is_empty() && label.bytes().all(is_allowed))
}

/// Reads `match.path`.
pub(super) fn path_pattern(node: &Node<'_>) -> Option<PathPattern> {
    let mut object = node.object()?;
    object.expect_keys(
        1,
        &[],
        "must have exactly one of exact, prefix, suffix, template",
    );

    let exact = object
        .field("exact")
        .and_then(|node| exact(&node))
        .map(PathPattern::Exact);
    let prefix = object
        .field("prefix")
        .and_then(|node| prefix(&node))
        .map(PathPattern::Prefix);
    let suffix = object
        .field("suffix")
        .and_then(|node| suffix(&node))
        .map(PathPattern::Suffix);
    let template = object
        .field("template")
        .and_then(|node| template(&node))
        .map(PathPattern::Template);
    object.finish();

    exact.or(prefix).or(suffix).or(template)
}

fn exact(node: &Node<'_>) -> Option<String> {
    let text = absolute(node)?;
    can_match(node, text, false).then(|| text.to_owned())
}

/// A prefix may end within a segment: `/.` is the start of `/.git`.
fn prefix(node: &Node<'_>) -> Option<String> {
    let text = absolute(node)?;
    can_match(node, text.strip_suffix('.').unwrap_or(text), false).then(|| text.to_owned())
}

/// A suffix may start within a segment: `./b` is the end of `/a./b`.
fn suffix(node: &Node<'_>) -> Option<String> {
    let text = node.non_empty_text()?;
    can_match(node, text, false).then(|| text.to_owned())
}

fn template(node: &Node<'_>) -> Option<Template> {
    let text = absolute(node)?;
    let template = Template::parse(text)
        .map_err(|sentence| node.refuse(sentence))
        .ok()?;
    can_match(node, text, true).then_some(template)
}

fn absolute<'a>(node: &Node<'a>) -> Option<&'a str> {
    let text = node.non_empty_text()?;
    if !text.starts_with('/') {
        node.refuse(r#"must start with "/""#);
        return None;
    }
    Some(text)
}

/// Whether a path in normal form can contain this text, which may start within a segment. Notes the
/// remedy otherwise. In a template, a segment that starts with a brace is a variable.
fn can_match(node: &Node<'_>, text: &str, is_template: bool) -> bool {
    let has_dots = text
        .split('/')
        .skip(1)
        .any(|segment| matches!(segment, "." | ".."));
    if has_dots || text.as_bytes().windows(2).any(|pair| pair == b"//") {
        node.refuse(
            r#"must not hold "//" or the segments "." and "..": paths are compared without them"#,
        );
        return false;
    }

    let mut literals = text
        .split('/')
        .filter(|segment| !(is_template && segment.starts_with('{')));
    let misspelled = literals.find_map(misspelled);
    if let Some((given, spelling)) = &misspelled {
        // Only one character of a value is quoted.
        let sentence = [
            "must hold ",
            spelling,
            " in place of \"",
            given,
            "\": paths are compared so, and without query",
        ];
        node.refuse(&sentence.concat());
    }
    misspelled.is_none()
}

/// The first character or escape that has another spelling in the normal form, and that spelling.
fn misspelled(text: &str) -> Option<(&str, String)> {
    let is_escape = |text: &&str| {
        text.starts_with('%') && text.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit())
    };
    let mut rest = text;

    while let Some(first) = rest.chars().next() {
        let length = rest
            .get(..3)
            .filter(is_escape)
            .map_or(first.len_utf8(), str::len);
        let (given, tail) = rest.split_at_checked(length)?;
        let spelling = respelled(given.as_bytes());
        if spelling != given.as_bytes() {
            return String::from_utf8(spelling)
                .ok()
                .map(|spelling| (given, spelling));
        }
        rest = tail;
    }
    None
}

/// Refuses the path of an excluding rule if all paths that it matches are ambiguous, see
/// [`path::is_ambiguous`].
pub(super) fn check_exclusion(node: &Node<'_>, conditions: &Conditions) {
    // Between names, so that a pattern may start or end within a segment.
    let is_ambiguous = |text: &str| path::is_ambiguous(["/name", text, "name"].concat().as_bytes());

    if conditions
        .path
        .as_ref()
        .is_some_and(|pattern| is_ambiguous(pattern.text()))
    {
        node.refuse(
            r#"has a path that no rule of level none matches: upstreams read ";", "%2F", "%5C", "%25" and the like in several ways"#,
        );
    }
}
