//! Access: tokens for writing and for reading, sent as bearer token, or as password in a browser.

use std::io;
use std::path::Path;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use tokio::sync::watch;

use crate::http::refusal::Refusal;

const BEARER: &str = "Bearer";
/// Browsers have no bearer tokens; on this header they prompt for a name and a password.
const BASIC: &str = "Basic realm=\"audit\", charset=\"UTF-8\"";

/// Accepted tokens: more than one while a token is replaced. Only their hashes are kept.
#[derive(Clone)]
pub struct Tokens(Vec<[u8; 32]>);

/// Required tokens; by default none.
#[derive(Clone, Default)]
pub struct Access {
    /// For clients that send records.
    pub ingest: Option<Tokens>,
    /// For clients that read.
    pub read: Option<Tokens>,
}

/// Why a file has no valid token. No variant holds content of the file.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("{0}")]
    File(#[from] io::Error),
    /// It has nothing in it but newlines.
    #[error("the file is empty")]
    Empty,
    /// It has characters that the header of a request cannot carry in a token.
    #[error("line {0}: a token has visible ASCII characters only")]
    Characters(usize),
}

impl Tokens {
    /// The tokens of a file, one per line; empty lines are ignored.
    ///
    /// # Errors
    ///
    /// See [`TokenError`].
    pub fn from_file(path: &Path) -> Result<Self, TokenError> {
        Self::new(&std::fs::read(path)?)
    }

    fn new(text: &[u8]) -> Result<Self, TokenError> {
        let lines = || {
            text.split(|byte| *byte == b'\n')
                .zip(1..)
                .filter(|(line, _)| !line.is_empty())
        };

        if let Some((_, line)) = lines().find(|(line, _)| !line.iter().all(u8::is_ascii_graphic)) {
            return Err(TokenError::Characters(line));
        }

        let hashes: Vec<[u8; 32]> = lines().map(|(line, _)| hash(line)).collect();
        if hashes.is_empty() {
            Err(TokenError::Empty)
        } else {
            Ok(Self(hashes))
        }
    }

    /// Compares hashes, which have equal length, in a time that does not depend on which one
    /// matches.
    fn have(&self, given: &[u8]) -> bool {
        let given = hash(given);
        self.0
            .iter()
            .fold(Choice::from(0), |found, token| found | token.ct_eq(&given))
            .into()
    }
}

impl Access {
    /// Whether a request with these headers may send records.
    pub(crate) fn check_ingest(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let known =
            |tokens: &Tokens| bearer(headers).is_some_and(|given| tokens.have(given.as_bytes()));
        if self.ingest.as_ref().is_none_or(known) {
            return Ok(());
        }
        Err(Refusal::unauthenticated(
            BEARER,
            "the bearer token is missing or wrong",
        ))
    }

    fn check_read(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let known = |tokens: &Tokens| {
            bearer(headers).is_some_and(|given| tokens.have(given.as_bytes()))
                || password(headers).is_some_and(|given| tokens.have(&given))
        };

        if self.read.as_ref().is_none_or(known) {
            return Ok(());
        }
        Err(Refusal::unauthenticated(
            BASIC,
            "the token is missing or wrong, as bearer token or as password",
        ))
    }
}

/// A middleware: refuses requests without the right to read.
pub(crate) async fn require_read(
    State(access): State<watch::Receiver<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let checked = access.borrow().check_read(request.headers());
    match checked {
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
    let mut decoded = BASE64_STANDARD
        .decode(credentials(headers, "basic")?)
        .ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded.split_off(colon + 1))
}

/// The text after the scheme; the case of the scheme does not count (RFC 9110, 11.1).
fn credentials<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (given, rest) = value.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_token() {
        for text in [
            b"s3cr3t".as_slice(),
            b"s3cr3t\n",
            b"new\ns3cr3t\n",
            b"\n\ns3cr3t\n\nnew",
        ] {
            let tokens = Tokens::new(text).unwrap();
            assert!(tokens.have(b"s3cr3t"));
            assert_eq!(tokens.have(b"new"), text.len() > 7);

            for other in [
                b"".as_slice(),
                b"s3cr3",
                b"s3cr3t\n",
                b"s3cr3tt",
                b"S3CR3T",
                b"new\ns3cr3t",
            ] {
                assert!(!tokens.have(other), "{other:?}");
            }
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in [b"".as_slice(), b"\n"] {
            assert!(matches!(Tokens::new(text), Err(TokenError::Empty)));
        }

        for (text, line) in [
            (b"a\r\n".as_slice(), 1),
            (b"a b", 1),
            (b"a\n\nb c\n", 3),
            ("ä".as_bytes(), 1),
            (b" ", 1),
        ] {
            assert!(
                matches!(Tokens::new(text), Err(TokenError::Characters(at)) if at == line),
                "{text:?}"
            );
        }
    }
}
