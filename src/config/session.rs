//! The section `session`.

use super::node::Node;
use super::object::Object;
use super::value_source::{session_id, session_source};
use crate::recorder::session::token::{HmacKey, MIN_HMAC_KEY_BYTES, TokenMode};
use crate::recorder::session::{ID_HEADER, IdSource, SessionSettings, SessionSource};

/// Reads `session`.
pub(super) fn session(node: Option<Node<'_>>) -> SessionSettings {
    let header = |name: &str| IdSource {
        source: SessionSource::Header(name.to_owned()),
        is_reference: false,
    };
    let mut settings = SessionSettings {
        id: vec![header(ID_HEADER), header("x-session-id")],
        token: vec![
            SessionSource::Cookie("session".to_owned()),
            SessionSource::Bearer,
        ],
        token_mode: TokenMode::Omit,
    };
    let Some(mut object) = node.and_then(|node| node.object()) else {
        return settings;
    };

    if let Some(node) = object.field("token") {
        settings.token = node.each(session_source);
    }
    if let Some(node) = object.field("id") {
        settings.id = node.each(|entry| session_id(entry, &settings.token));
    }

    settings.token_mode = token_mode(&mut object);
    object.finish();
    settings
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Omit,
    Hmac,
    Sha256,
    Clear,
}

/// With a key, the default is `hmac`.
fn token_mode(object: &mut Object<'_>) -> TokenMode {
    let words = [
        ("omit", Mode::Omit),
        ("hmac", Mode::Hmac),
        ("sha256", Mode::Sha256),
        ("clear", Mode::Clear),
    ];

    let mode = object
        .field("token_mode")
        .map(|node| (node.one_of(&words), node));
    let keyed = object
        .field("hmac_keys")
        .and_then(|node| first_key(&node))
        .map(TokenMode::Hmac);

    match mode {
        None => keyed.unwrap_or(TokenMode::Omit),
        Some((Some(Mode::Hmac), node)) => keyed.unwrap_or_else(|| {
            node.refuse("needs a valid key in session.hmac_keys");
            TokenMode::Omit
        }),
        Some((Some(Mode::Sha256), _)) => TokenMode::Sha256,
        Some((Some(Mode::Clear), node)) => {
            node.warn(
                "is clear: session tokens are recorded, and a reader of records can use them",
            );
            TokenMode::Clear
        }
        Some((Some(Mode::Omit) | None, _)) => TokenMode::Omit,
    }
}

/// The first key, which makes references. The others made earlier references. They are checked, so
/// that a list shared with other tools is valid in each, but not used here.
fn first_key(node: &Node<'_>) -> Option<HmacKey> {
    let keys = node.each(hmac_key);
    let is_repeated = |(index, (id, _)): (usize, &(&str, &[u8]))| {
        keys.iter().take(index).any(|(other, _)| other == id)
    };
    if keys.iter().enumerate().any(is_repeated) {
        node.refuse("must not have an id twice");
    }
    let (id, key) = keys.first()?;
    HmacKey::new(id, key)
}

/// An entry: its id and its key.
fn hmac_key<'a>(node: &Node<'a>) -> Option<(&'a str, &'a [u8])> {
    let mut object = node.object()?;
    let id = object.required("id").and_then(|node| key_id(&node));
    let key = object.required("key").and_then(|node| key(&node));
    object.finish();
    Some((id?, key?))
}

fn key<'a>(node: &Node<'a>) -> Option<&'a [u8]> {
    let key = node.text()?.as_bytes();
    if key.len() < MIN_HMAC_KEY_BYTES {
        node.refuse(&format!("must have at least {MIN_HMAC_KEY_BYTES} bytes"));
        return None;
    }
    Some(key)
}

/// Part of every reference, between colons.
fn key_id<'a>(node: &Node<'a>) -> Option<&'a str> {
    /// Longer texts are not names.
    const MAX_KEY_ID_BYTES: usize = 64;
    let id = node.non_empty_text()?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if id.len() > MAX_KEY_ID_BYTES || !id.bytes().all(is_allowed) {
        node.refuse("must be made of at most 64 of [A-Za-z0-9_.-]");
        return None;
    }
    Some(id)
}
