//! The section `session`.

use super::node::{Node, Object};
use super::sources::session_source;
use crate::recorder::session::{ID_HEADER, Settings, Source};
use crate::recorder::token::{HmacKey, MIN_HMAC_KEY_BYTES, TokenMode};

/// Reads `session`.
pub(super) fn session(node: Option<Node<'_>>) -> Settings {
    let header = |name: &str| Source::Header(name.to_owned());
    let mut settings = Settings {
        id: vec![header(ID_HEADER), header("x-session-id")],
        token: vec![Source::Cookie("session".to_owned()), Source::Bearer],
        token_mode: TokenMode::Omit,
    };
    let Some(mut object) = node.and_then(|node| node.object()) else { return settings };
    if let Some(node) = object.field("id") {
        settings.id = node.each(session_source);
    }
    if let Some(node) = object.field("token") {
        settings.token = node.each(session_source);
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

/// With a key, tokens are keyed unless the configuration says otherwise.
fn token_mode(object: &mut Object<'_>) -> TokenMode {
    let words = [("omit", Mode::Omit), ("hmac", Mode::Hmac), ("sha256", Mode::Sha256), ("clear", Mode::Clear)];
    let mode = object.field("token_mode").map(|node| (node.one_of(&words), node));
    let key = object.field("hmac_key").and_then(|node| hmac_key(&node));
    let id = object.field("hmac_key_id").and_then(|node| key_id(&node)).unwrap_or_default();
    let keyed = key.and_then(|key| HmacKey::new(id, key)).map(TokenMode::Hmac);
    match mode {
        None => keyed.unwrap_or(TokenMode::Omit),
        Some((Some(Mode::Hmac), node)) => keyed.unwrap_or_else(|| {
            node.refuse("needs a valid session.hmac_key");
            TokenMode::Omit
        }),
        Some((Some(Mode::Sha256), _)) => TokenMode::Sha256,
        Some((Some(Mode::Clear), _)) => TokenMode::Clear,
        Some((Some(Mode::Omit) | None, _)) => TokenMode::Omit,
    }
}

fn hmac_key<'a>(node: &Node<'a>) -> Option<&'a [u8]> {
    let key = node.text()?.as_bytes();
    if !key.is_empty() && key.len() < MIN_HMAC_KEY_BYTES {
        node.refuse(&format!("must have at least {MIN_HMAC_KEY_BYTES} bytes"));
    }
    (key.len() >= MIN_HMAC_KEY_BYTES).then_some(key)
}

/// Part of every reference, between colons.
fn key_id<'a>(node: &Node<'a>) -> Option<&'a str> {
    /// Longer ones are no names.
    const MAX_KEY_ID_BYTES: usize = 64;
    let id = node.text()?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if id.len() > MAX_KEY_ID_BYTES || !id.bytes().all(is_allowed) {
        node.refuse("must be made of at most 64 of [A-Za-z0-9_.-]");
        return None;
    }
    Some(id)
}
