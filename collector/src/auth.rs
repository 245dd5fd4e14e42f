//! Who may write and who may read: a token for each, given as bearer token, or as password where a browser asks.

use std::io;
use std::path::Path;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::app::AppState;
use crate::refusal::Refusal;

const BEARER: &str = "Bearer";
/// Browsers know no bearer tokens; on this they ask for a name and a password.
const BASIC: &str = "Basic realm=\"audit\", charset=\"UTF-8\"";

/// A token that clients must know. Only its hash is kept.
#[derive(Clone)]
pub struct Token([u8; 32]);

/// Which tokens are asked for; by default none.
#[derive(Clone, Default)]
pub struct Access {
    /// Of those who send records.
    pub ingest: Option<Token>,
    /// Of those who read.
    pub read: Option<Token>,
}

/// Why a file holds no token. No variant holds what is in it.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("{0}")]
    File(#[from] io::Error),
    /// It has nothing in it, or a newline alone.
    #[error("the file is empty")]
    Empty,
    /// It has characters that the header of a request cannot carry in a token.
    #[error("the token has characters other than visible ASCII, or more than one line")]
    Characters,
}

impl Token {
    /// The token that a file holds; one newline at its end does not count.
    ///
    /// # Errors
    ///
    /// See [`TokenError`].
    pub fn from_file(path: &Path) -> Result<Self, TokenError> {
        Self::new(&std::fs::read(path)?)
    }

    fn new(text: &[u8]) -> Result<Self, TokenError> {
        let token = text.strip_suffix(b"\n").unwrap_or(text);
        if token.is_empty() {
            return Err(TokenError::Empty);
        }
        if !token.iter().all(u8::is_ascii_graphic) {
            return Err(TokenError::Characters);
        }
        Ok(Self(hash(token)))
    }

    /// By their hashes, which have one length, and in a time that tells nothing.
    fn is(&self, given: &[u8]) -> bool {
        self.0.ct_eq(&hash(given)).into()
    }
}

impl Access {
    /// Whether a request with these headers may send records.
    pub(crate) fn check_ingest(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let known = |token: &Token| bearer(headers).is_some_and(|given| token.is(given.as_bytes()));
        if self.ingest.as_ref().is_none_or(known) {
            return Ok(());
        }
        Err(Refusal::unauthenticated(BEARER, "the bearer token is missing or wrong"))
    }

    fn check_read(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let known = |token: &Token| {
            bearer(headers).is_some_and(|given| token.is(given.as_bytes()))
                || password(headers).is_some_and(|given| token.is(&given))
        };
        if self.read.as_ref().is_none_or(known) {
            return Ok(());
        }
        Err(Refusal::unauthenticated(BASIC, "the token is missing or wrong, as bearer token or as password"))
    }
}

/// A middleware: nobody gets through who may not read.
pub(crate) async fn require_read(State(state): State<AppState>, request: Request, next: Next) -> Response {
    match state.access.check_read(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    credentials(headers, "bearer")
}

/// The password of Basic credentials (RFC 7617); the name before the first colon may be any.
fn password(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut decoded = BASE64_STANDARD.decode(credentials(headers, "basic")?).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded.split_off(colon + 1))
}

/// What follows the scheme, whose case does not count (RFC 9110, 11.1).
fn credentials<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (given, rest) = value.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_newline_at_the_end_does_not_count() {
        for text in [b"s3cr3t".as_slice(), b"s3cr3t\n"] {
            let token = Token::new(text).unwrap();
            assert!(token.is(b"s3cr3t"));
            for other in [b"".as_slice(), b"s3cr3", b"s3cr3t\n", b"s3cr3tt", b"S3CR3T"] {
                assert!(!token.is(other), "{other:?}");
            }
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in [b"".as_slice(), b"\n"] {
            assert!(matches!(Token::new(text), Err(TokenError::Empty)));
        }
        for text in [b"a\n\n".as_slice(), b"a\r\n", b"a b", b"a\nb", "ä".as_bytes(), b" "] {
            assert!(matches!(Token::new(text), Err(TokenError::Characters)), "{text:?}");
        }
    }
}
