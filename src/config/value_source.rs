//! Sources of values: an object with exactly one key, such as `{header: x-user-id}`.

use super::node::Node;
use super::object::Object;
use super::text::header_name;
use crate::recorder::identity::IdentitySource;
use crate::recorder::identity::filter_state::FilterState;
use crate::recorder::identity::metadata::MetadataPath;
use crate::recorder::identity::response_json::Pointer;
use crate::recorder::session::{IdSource, SessionSource};
use crate::recorder::tracking::set_tracking::ContextSource;

/// Any source; each list allows some of them.
enum ValueSource {
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
pub(super) fn session_source(node: &Node<'_>) -> Option<SessionSource> {
    of_session(source(node, &SESSION)?)
}

fn of_session(source: ValueSource) -> Option<SessionSource> {
    match source {
        ValueSource::Header(name) => Some(SessionSource::Header(name)),
        ValueSource::Cookie(name) => Some(SessionSource::Cookie(name)),
        ValueSource::Bearer => Some(SessionSource::Bearer),
        _ => None,
    }
}

/// An entry of `session.id`. The value of a cookie, of a token or of a header with such a name
/// opens the session. So it is recorded as a reference unless the entry has `clear: true`.
pub(super) fn session_id(node: &Node<'_>, tokens: &[SessionSource]) -> Option<IdSource> {
    let mut object = node.object()?;
    let source = one_source(&mut object, &SESSION, &["clear"]).and_then(of_session);
    let is_clear = object.read("clear", false, Node::boolean);
    object.finish();
    let source = source?;

    let is_secret = tokens.contains(&source) || source.is_secret();
    if is_clear && source == SessionSource::Bearer {
        node.refuse("clear is not for bearer: a token is recorded as a reference");
    } else if is_clear && is_secret {
        node.warn("is recorded as it is, and a reader of records can take the session over");
    }

    Some(IdSource {
        source,
        is_reference: is_secret && !is_clear,
    })
}

/// An entry of a field of `identity`.
pub(super) fn identity_source(node: &Node<'_>) -> Option<IdentitySource> {
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
        ValueSource::Header(name) => Some(IdentitySource::Header(name)),
        ValueSource::ResponseHeader(name) => Some(IdentitySource::ResponseHeader(name)),
        ValueSource::ResponseJson(pointer) => Some(IdentitySource::ResponseJson(pointer)),
        ValueSource::Metadata(path) => Some(IdentitySource::Metadata(path)),
        ValueSource::FilterState(object) => Some(IdentitySource::FilterState(object)),
        ValueSource::PeerUriSan => Some(IdentitySource::PeerUriSan),
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
        ValueSource::Header(name) => Some(ContextSource::Header(name)),
        ValueSource::Cookie(name) => Some(ContextSource::Cookie(name)),
        ValueSource::Metadata(path) => Some(ContextSource::Metadata(path)),
        ValueSource::PeerUriSan => Some(ContextSource::PeerUriSan),
        ValueSource::PeerAddress => Some(ContextSource::PeerAddress),
        _ => None,
    }
}

fn source(node: &Node<'_>, keys: &[&'static str]) -> Option<ValueSource> {
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
) -> Option<ValueSource> {
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

fn of_key(key: &str, value: &Node<'_>) -> Option<ValueSource> {
    match key {
        "header" => plain_header(value).map(ValueSource::Header),
        "cookie" => cookie_name(value).map(ValueSource::Cookie),
        "response_header" => plain_header(value).map(ValueSource::ResponseHeader),
        "response_json" => pointer(value).map(ValueSource::ResponseJson),
        "metadata" => metadata(value).map(ValueSource::Metadata),
        "filter_state" => filter_state(value).map(ValueSource::FilterState),
        "bearer" => on(value).map(|()| ValueSource::Bearer),
        "peer_uri_san" => on(value).map(|()| ValueSource::PeerUriSan),
        _ => on(value).map(|()| ValueSource::PeerAddress),
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
