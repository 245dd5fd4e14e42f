//! The reference of a secret: how a session token is recorded, so that it can be searched for and not be used.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// Shortest HMAC key, in bytes: as long as an output of SHA-256 (RFC 2104, section 3). The configuration's duty.
pub const MIN_HMAC_KEY_BYTES: usize = 32;

/// Longest token that is recorded in clear, in bytes of UTF-8; the rest is cut.
const MAX_CLEAR_BYTES: usize = 4096;

/// How a session token is recorded (`session.token_mode`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenMode {
    /// Not at all.
    Omit,
    /// As `hmac-sha256:<key id>:<hex>`: only who has the key can try out tokens.
    Hmac(HmacKey),
    /// As `sha256:<hex>`: everybody can try out tokens, so these must be hard to guess.
    Sha256,
    /// As `clear:<token>`: everybody can use it. At most 4096 bytes, and what is no UTF-8 is replaced.
    Clear,
}

impl TokenMode {
    /// What is recorded as `session.token_ref`; `None` for omit.
    #[must_use]
    pub fn reference(&self, token: &[u8]) -> Option<String> {
        match self {
            Self::Omit => None,
            Self::Hmac(key) => Some(key.reference(token)),
            Self::Sha256 => Some(["sha256:", &sha256_hex(token)].concat()),
            Self::Clear => Some(clear(token)),
        }
    }
}

/// A key for HMAC-SHA256, and its name. The name is recorded, so that keys can be changed.
#[derive(Clone)]
pub struct HmacKey {
    id: String,
    key: Box<[u8]>,
    /// The key is worked in already, so that a token costs two blocks less.
    state: Hmac<Sha256>,
}

impl HmacKey {
    /// A key of any length, and its name.
    #[must_use]
    #[expect(clippy::expect_used, reason = "HMAC is defined for keys of any length")]
    pub fn new(id: &str, key: &[u8]) -> Self {
        let state = Hmac::new_from_slice(key).expect("HMAC accepts keys of any length");
        Self { id: id.to_owned(), key: key.into(), state }
    }

    fn reference(&self, token: &[u8]) -> String {
        let tag = self.state.clone().chain_update(token).finalize().into_bytes();
        ["hmac-sha256:", &self.id, ":", &hex(&tag)].concat()
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl PartialEq for HmacKey {
    fn eq(&self, other: &Self) -> bool {
        (&self.id, &self.key) == (&other.id, &other.key)
    }
}

impl Eq for HmacKey {}

/// SHA-256 in lower-case hexadecimal digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 });
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn clear(token: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(token).into_owned();
    text.truncate(text.floor_char_boundary(MAX_CLEAR_BYTES));
    text.insert_str(0, "clear:");
    text
}
