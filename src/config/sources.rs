//! Sources of values: an object with exactly one key, such as `{header: x-user-id}`.

use super::node::Node;
use super::object::Object;
use super::text::header_name;
use crate::recorder::identity::filter_state::FilterState;
use crate::recorder::identity::metadata::MetadataPath;
use crate::recorder::identity::response_json::Pointer;
use crate::recorder::tracking::set_tracking::ContextSource;
use crate::recorder::{identity, session};

/// Any source; each list allows some of them.
enum Source {
    Header(String),
    Cookie(String),
    Bearer,
    ResponseHeader(String),
    ResponseJson(Pointer),
    Metadata(MetadataPath),
    FilterState(FilterState),
    PeerUriSan,
    PeerAddress,
}

/// Sources of a session's id and token.
const SESSION: [&str; 3] = ["header", "cookie", "bearer"];

/// An entry of `session.token`.
pub(super) fn session_source(node: &Node<'_>) -> Option<session::Source> {
    of_session(source(node, &SESSION)?)
}

fn of_session(source: Source) -> Option<session::Source> {
    match source {
        Source::Header(name) => Some(session::Source::Header(name)),
        Source::Cookie(name) => Some(session::Source::Cookie(name)),
        Source::Bearer => Some(session::Source::Bearer),
        _ => None,
    }
}

/// An entry of `session.id`. The value of a cookie, of a token or of a header with such a name
/// opens the session. So it is recorded as a reference unless the entry has `clear: true`.
pub(super) fn session_id(node: &Node<'_>, tokens: &[session::Source]) -> Option<session::IdSource> {
    let mut object = node.object()?;
    let source = one_source(&mut object, &SESSION, &["clear"]).and_then(of_session);
    let is_clear = object.read("clear", false, Node::boolean);
    object.finish();
    let source = source?;

    let is_secret = tokens.contains(&source) || source.is_secret();
    if is_clear && source == session::Source::Bearer {
        node.refuse("clear is not for bearer: a token is recorded as a reference");
    } else if is_clear && is_secret {
        node.warn("is recorded as it is, and a reader of records can take the session over");
    }

    Some(session::IdSource {
        source,
        is_reference: is_secret && !is_clear,
    })
}

/// An entry of a field of `identity`.
pub(super) fn identity_source(node: &Node<'_>) -> Option<identity::Source> {
    match source(
        node,
        &[
            "header",
            "response_header",
            "response_json",
            "metadata",
            "filter_state",
            "peer_uri_san",
        ],
    )? {
        Source::Header(name) => Some(identity::Source::Header(name)),
        Source::ResponseHeader(name) => Some(identity::Source::ResponseHeader(name)),
        Source::ResponseJson(pointer) => Some(identity::Source::ResponseJson(pointer)),
        Source::Metadata(path) => Some(identity::Source::Metadata(path)),
        Source::FilterState(object) => Some(identity::Source::FilterState(object)),
        Source::PeerUriSan => Some(identity::Source::PeerUriSan),
        _ => None,
    }
}

/// A field of `set_tracking.context`.
pub(super) fn context_source(node: &Node<'_>) -> Option<ContextSource> {
    match source(
        node,
        &[
            "header",
            "cookie",
            "metadata",
            "peer_uri_san",
            "peer_address",
        ],
    )? {
        Source::Header(name) => Some(ContextSource::Header(name)),
        Source::Cookie(name) => Some(ContextSource::Cookie(name)),
        Source::Metadata(path) => Some(ContextSource::Metadata(path)),
        Source::PeerUriSan => Some(ContextSource::PeerUriSan),
        Source::PeerAddress => Some(ContextSource::PeerAddress),
        _ => None,
    }
}

fn source(node: &Node<'_>, keys: &[&'static str]) -> Option<Source> {
    let mut object = node.object()?;
    let found = one_source(&mut object, keys, &[]);
    object.finish();
    found
}

/// The source of an object that may also have other keys.
fn one_source(
    object: &mut Object<'_>,
    keys: &[&'static str],
    optional: &[&'static str],
) -> Option<Source> {
    object.expect_keys(
        1,
        optional,
        &format!("must have exactly one of {}", keys.join(", ")),
    );

    let mut found = None;
    for key in keys {
        if let Some(value) = object.field(key) {
            found = found.or(of_key(key, &value));
        }
    }
    found
}

fn of_key(key: &str, value: &Node<'_>) -> Option<Source> {
    match key {
        "header" => plain_header(value).map(Source::Header),
        "cookie" => cookie_name(value).map(Source::Cookie),
        "response_header" => plain_header(value).map(Source::ResponseHeader),
        "response_json" => pointer(value).map(Source::ResponseJson),
        "metadata" => metadata(value).map(Source::Metadata),
        "filter_state" => filter_state(value).map(Source::FilterState),
        "bearer" => on(value).map(|()| Source::Bearer),
        "peer_uri_san" => on(value).map(|()| Source::PeerUriSan),
        _ => on(value).map(|()| Source::PeerAddress),
    }
}

/// A header that does not hold a secret as a whole.
fn plain_header(node: &Node<'_>) -> Option<String> {
    const SECRET: [&str; 4] = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
    ];

    let name = header_name(node)?;
    if SECRET.contains(&name.as_str()) {
        node.refuse(
            "must not be a header of credentials: cookie and bearer are sources of their own",
        );
        return None;
    }
    Some(name)
}

/// A source without parameters.
fn on(node: &Node<'_>) -> Option<()> {
    if node.boolean()? {
        return Some(());
    }
    node.refuse("must be true");
    None
}

/// A cookie's name is an RFC 9110 token (RFC 6265 section 4.1.1), and case-sensitive.
fn cookie_name(node: &Node<'_>) -> Option<String> {
    let name = node.non_empty_text()?;
    if !super::text::is_header_name(name) {
        node.refuse("must be the name of a cookie");
        return None;
    }
    Some(name.to_owned())
}

fn pointer(node: &Node<'_>) -> Option<Pointer> {
    let pointer = Pointer::parse(node.text()?);
    if pointer.is_none() {
        node.refuse(r#"must be a JSON pointer (RFC 6901): empty, or starting with "/""#);
    }
    pointer
}

/// `namespace:key:key`, as Envoy writes it in `%DYNAMIC_METADATA(...)%`; or a list, for keys that
/// hold a colon.
fn metadata(node: &Node<'_>) -> Option<MetadataPath> {
    let path = match node.peek_text() {
        Some(text) => MetadataPath::new(text.split(':')),
        None => MetadataPath::new(
            node.each_of_some(|entry| entry.non_empty_text())
                .into_iter(),
        ),
    };

    if path.is_none() {
        node.refuse(
            r#"must be a namespace and at least one key: "namespace:key", or a list of both"#,
        );
    }
    path
}

/// The name of an object, such as `io.istio.peer_principal`.
pub(super) fn filter_state(node: &Node<'_>) -> Option<FilterState> {
    let object = FilterState::new(node.text()?);
    if object.is_none() {
        node.refuse("must be the name of an object in Envoy's filter state");
    }
    object
}
