//! Whose session it is: an id that may be recorded, and the reference of a token that must not be.

use super::credentials::{Authorization, cookie, set_cookie};
use super::headers::Headers;
use super::token::{TokenMode, sha256_hex};

/// Where a session id or token may come from: the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A request header.
    Header(String),
    /// A cookie, by its case-sensitive name.
    Cookie(String),
    /// The token of `authorization: Bearer` (RFC 6750).
    Bearer,
}

/// The section `session`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Sources of the id, in the order in which they are tried.
    pub id: Vec<Source>,
    /// Sources of the token, in the order in which they are tried.
    pub token: Vec<Source>,
    /// How the token is recorded.
    pub token_mode: TokenMode,
}

/// What a rule says about the session of a request that succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// It begins the session: a login.
    Start,
    /// It ends the session: a logout.
    End,
}

impl SessionEvent {
    /// The word in configuration and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
        }
    }
}

/// What is known of a request's session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// `session.id`
    pub id: Option<SessionId>,
    /// `session.token_ref`
    pub token_ref: Option<String>,
    /// The request came with HTTP Basic credentials: `audit.auth`.
    pub is_basic: bool,
}

/// A session id. A client chooses it, so it is checked and never trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionId {
    /// As received.
    Whole(Vec<u8>),
    /// One that may not be recorded as it is: `sha256:` and 64 hexadecimal digits, or the reference of a token.
    Hashed(String),
}

/// Longest session id that is recorded as it is, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// The header in which a new session id is returned.
pub const ID_HEADER: &str = "x-audit-session-id";

impl SessionId {
    /// An id as received: hashed when it is too long or not printable ASCII. `None` when it is empty.
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

    /// The reference of an id that is a token, too; keyed where tokens are.
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

impl Settings {
    /// Reads the session of a request.
    pub(super) fn read(&self, headers: &Headers<'_>) -> Session {
        let id = self.id.iter().find_map(|source| self.id_of(source, source.value(headers)?));
        let token = || self.token.iter().find_map(|source| source.value(headers));
        Session {
            id,
            token_ref: match self.token_mode {
                TokenMode::Omit => None,
                _ => token().and_then(|token| self.token_mode.reference(token)),
            },
            is_basic: matches!(Authorization::of(headers), Some(Authorization::Basic)),
        }
    }

    /// The session id that a response has of its own, in one of the headers or cookies that carry it.
    pub(super) fn of_response(&self, headers: &Headers<'_>) -> Option<SessionId> {
        let own = |source: &Source| match source {
            Source::Header(name) => self.id_of(source, headers.first(name)?),
            Source::Cookie(name) => self.id_of(source, set_cookie(headers, name)?),
            Source::Bearer => None,
        };
        self.id.iter().find_map(own).or_else(|| SessionId::checked(headers.first(ID_HEADER)?))
    }

    fn id_of(&self, source: &Source, value: &[u8]) -> Option<SessionId> {
        let is_secret = *source == Source::Bearer || self.token.contains(source);
        match value {
            b"" => None,
            _ if is_secret => Some(SessionId::of_secret(value, &self.token_mode)),
            _ => SessionId::checked(value),
        }
    }
}

impl Source {
    fn value<'h>(&self, headers: &Headers<'h>) -> Option<&'h [u8]> {
        let value = match self {
            Self::Header(name) => headers.all(name).map(<[u8]>::trim_ascii).find(|value| !value.is_empty()),
            Self::Cookie(name) => cookie(headers, name),
            Self::Bearer => match Authorization::of(headers) {
                Some(Authorization::Bearer(token)) => Some(token),
                _ => None,
            },
        };
        value.filter(|value| !value.is_empty())
    }
}
