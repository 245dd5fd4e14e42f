//! The session of a request: an id that may be recorded, and the reference of a token that must not
//! be.

pub mod credentials;
pub mod token;

use super::capture::redact::looks_secret;
use super::headers::Headers;
use super::headers::values::Values;
pub use crate::record::{Session, SessionEvent, SessionId};
use credentials::{bearer, cookies, is_basic, set_cookies};
use token::{TokenMode, sha256_hex};

/// Source of a session id or token in the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionSource {
    /// A request header.
    Header(String),
    /// A cookie, by its case-sensitive name.
    Cookie(String),
    /// The token of `authorization: Bearer` (RFC 6750).
    Bearer,
}

/// A source of the session id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdSource {
    /// Source of the id.
    pub source: SessionSource,
    /// The value grants access to the session, so a reference is recorded, keyed as for tokens.
    pub is_reference: bool,
}

/// The section `session`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// Sources of the id, in order of preference.
    pub id: Vec<IdSource>,
    /// Sources of the token, in order of preference.
    pub token: Vec<SessionSource>,
    /// How the token is recorded.
    pub token_mode: TokenMode,
}

/// Longest session id recorded in clear, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// The response header with a new session id.
pub const ID_HEADER: &str = "x-audit-session-id";

impl SessionId {
    /// An id as received; hashed if it is too long or not printable ASCII. `None` if it is empty.
    #[must_use]
    pub fn checked(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let is_printable = value.iter().all(|byte| (b' '..=b'~').contains(byte));
        match value.len() {
            0 => None,
            1..=MAX_ID_BYTES if is_printable => Some(Self::Whole(value.to_vec())),
            _ => Some(Self::hashed(value)),
        }
    }

    /// The reference of an id that is also a token; keyed as for tokens.
    fn of_secret(value: &[u8], token_mode: &TokenMode) -> Self {
        match token_mode {
            TokenMode::Hmac(key) => Self::Hashed(key.reference(value)),
            TokenMode::Omit | TokenMode::Sha256 | TokenMode::Clear => Self::hashed(value),
        }
    }

    fn hashed(value: &[u8]) -> Self {
        Self::Hashed(["sha256:", &sha256_hex(value)].concat())
    }
}

impl SessionSettings {
    /// Reads the session of a request. The second value: a source has several distinct values.
    pub(super) fn read(&self, headers: &Headers<'_>) -> (Session, bool) {
        let mut conflict = false;
        let mut value = |source: &SessionSource| source.values(headers).noting(&mut conflict);
        let id = self
            .id
            .iter()
            .find_map(|id| self.id_of(value(&id.source)?, id.is_reference));

        let token_ref = match self.token_mode {
            TokenMode::Omit => None,
            _ => self
                .token
                .iter()
                .find_map(value)
                .and_then(|token| self.token_mode.reference(token)),
        };

        (
            Session {
                id,
                token_ref,
                is_basic: is_basic(headers),
            },
            conflict,
        )
    }

    /// The session id in the response, from a header or cookie that carries it. The second value is
    /// that of [`Self::read`].
    pub(super) fn of_response(&self, headers: &Headers<'_>) -> (Option<SessionId>, bool) {
        let mut conflict = false;
        let mut own = |id: &IdSource| {
            let values = match &id.source {
                SessionSource::Header(name) => headers.values(name),
                SessionSource::Cookie(name) => set_cookies(headers, name),
                SessionSource::Bearer => Values::default(),
            };
            self.id_of(values.noting(&mut conflict)?, id.is_reference)
        };

        let returned = || IdSource {
            source: SessionSource::Header(ID_HEADER.to_owned()),
            is_reference: false,
        };

        let id = self
            .id
            .iter()
            .find_map(&mut own)
            .or_else(|| own(&returned()));

        (id, conflict)
    }

    fn id_of(&self, value: &[u8], is_reference: bool) -> Option<SessionId> {
        if is_reference {
            Some(SessionId::of_secret(value, &self.token_mode))
        } else {
            SessionId::checked(value)
        }
    }
}

impl SessionSource {
    /// Whether possession of the value grants access to the session: a cookie, a token, or a header
    /// with a secret-looking name. The word "session" alone does not make a header secret.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        match self {
            Self::Header(name) => {
                let mut words = name
                    .split(['-', '_'])
                    .filter(|word| !word.starts_with("session"));
                words.any(looks_secret)
            }
            Self::Cookie(_) | Self::Bearer => true,
        }
    }

    fn values<'h>(&self, headers: &Headers<'h>) -> Values<&'h [u8]> {
        match self {
            Self::Header(name) => headers.values(name),
            Self::Cookie(name) => cookies(headers, name),
            Self::Bearer => bearer(headers),
        }
    }
}
