//! Checks of text that several sections share: header names, header values, labels.

use super::node::Node;

/// A header name as the codecs deliver it: an RFC 9110 token in lower case; upper case is accepted
/// and lowered.
pub(super) fn header_name(node: &Node<'_>) -> Option<String> {
    let name = node.non_empty_text()?.to_ascii_lowercase();
    if !is_header_name(&name) {
        node.refuse("must be a header name");
        return None;
    }

    // The codecs of Envoy make it the pseudo-header `:authority`.
    if name == "host" {
        node.refuse("is never there, since Envoy has it as :authority: match.hosts compares it, and it is recorded");
        return None;
    }
    Some(name)
}

/// Whether this is an RFC 9110 token.
pub(super) fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_token_byte)
}

/// A header value: visible ASCII, spaces inside.
pub(super) fn header_value(node: &Node<'_>) -> Option<String> {
    let value = node.text()?;
    if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) || value.trim() != value {
        node.refuse("must be a header value: printable ASCII without spaces at its ends");
        return None;
    }
    Some(value.to_owned())
}

/// A method: an RFC 9110 token without lower-case letters, since methods are case-sensitive.
pub(super) fn method(node: &Node<'_>) -> Option<String> {
    let method = node.non_empty_text()?;
    if !method
        .bytes()
        .all(|byte| is_token_byte(byte) && !byte.is_ascii_lowercase())
    {
        node.refuse("must be a method in upper case");
        return None;
    }
    Some(method.to_owned())
}

/// A name such as a rule's or a tag's: made of these characters only.
pub(super) fn is_label(text: &str, more: &[u8]) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || more.contains(&byte);
    !text.is_empty() && text.bytes().all(is_allowed)
}

/// RFC 9110 section 5.6.2, `tchar`.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
