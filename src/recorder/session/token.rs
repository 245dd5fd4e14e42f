//! References of secrets: a session token is recorded so that it can be searched for, but not used.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// Shortest HMAC key, in bytes: the output size of SHA-256 (RFC 2104, section 3). The configuration
/// enforces it.
pub const MIN_HMAC_KEY_BYTES: usize = 32;

/// Longest token recorded in clear, in bytes of UTF-8; the rest is cut.
const MAX_CLEAR_BYTES: usize = 4096;

/// How a session token is recorded (`session.token_mode`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenMode {
    /// Not at all.
    Omit,
    /// As `hmac-sha256:<key id>:<hex>`: candidate tokens can be tried only with the key.
    Hmac(HmacKey),
    /// As `sha256:<hex>`: candidate tokens can be tried by any reader, so tokens must be hard to
    /// guess.
    Sha256,
    /// As `clear:<token>`: any reader can use it. At most 4096 bytes; invalid UTF-8 is replaced.
    Clear,
}

impl TokenMode {
    /// The value of `session.token_ref`; `None` for omit.
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

/// A key for HMAC-SHA256 with a name. The name is recorded, so that keys can be rotated.
#[derive(Clone)]
pub struct HmacKey {
    id: String,
    /// State after the key, which saves two blocks per token.
    state: Hmac<Sha256>,
}

impl HmacKey {
    /// A key of any length with a name. The key itself is not kept. `None` if HMAC rejects the
    /// length, which never happens.
    #[must_use]
    pub fn new(id: &str, key: &[u8]) -> Option<Self> {
        Some(Self {
            id: id.to_owned(),
            state: Hmac::new_from_slice(key).ok()?,
        })
    }

    /// `hmac-sha256:<key id>:<hex>` of a token.
    pub(in crate::recorder) fn reference(&self, token: &[u8]) -> String {
        let tag = self
            .state
            .clone()
            .chain_update(token)
            .finalize()
            .into_bytes();
        ["hmac-sha256:", &self.id, ":", &hex(&tag)].concat()
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Keys are equal if their names and references are equal.
impl PartialEq for HmacKey {
    fn eq(&self, other: &Self) -> bool {
        self.reference(b"") == other.reference(b"")
    }
}

impl Eq for HmacKey {}

/// SHA-256 in lower-case hexadecimal digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| {
        char::from(if value < 10 {
            b'0' + value
        } else {
            b'a' + value - 10
        })
    };

    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn clear(token: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(token).into_owned();
    text.truncate(text.floor_char_boundary(MAX_CLEAR_BYTES));
    text.insert_str(0, "clear:");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"a key of at least thirty-two bytes";

    #[track_caller]
    fn check_hmac(key: &[u8], token: &[u8], hex: &str) {
        let mode = TokenMode::Hmac(HmacKey::new("2026-08", key).unwrap());
        assert_eq!(
            mode.reference(token),
            Some(format!("hmac-sha256:2026-08:{hex}"))
        );
        assert_eq!(
            mode.clone().reference(token),
            mode.reference(token),
            "a reference leaves the key as it was"
        );
    }

    /// RFC 4231, section 4, all test cases without truncation.
    #[test]
    fn the_hmac_is_that_of_the_standard() {
        let counting: Vec<u8> = (1..=25).collect();
        let larger = "This is a test using a larger than block-size key and a larger than block-size data. \
                      The key needs to be hashed before being used by the HMAC algorithm.";
        let one = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        let two = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let three = "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe";
        let four = "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b";
        let six = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        let seven = "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2";

        check_hmac(&[0x0b; 20], b"Hi There", one);
        check_hmac(b"Jefe", b"what do ya want for nothing?", two);
        check_hmac(&[0xaa; 20], &[0xdd; 50], three);
        check_hmac(&counting, &[0xcd; 50], four);
        check_hmac(
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            six,
        );
        check_hmac(&[0xaa; 131], larger.as_bytes(), seven);
    }

    #[track_caller]
    fn check_sha256(message: &[u8], hex: &str) {
        assert_eq!(sha256_hex(message), hex);
        assert_eq!(
            TokenMode::Sha256.reference(message),
            Some(format!("sha256:{hex}"))
        );
    }

    /// The examples of FIPS 180-2, appendix B, and the empty message of NIST's test vectors.
    #[test]
    fn the_hash_is_that_of_the_standard() {
        let two_blocks = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        check_sha256(
            b"",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        );
        check_sha256(
            b"abc",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        );
        check_sha256(
            two_blocks,
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        );
        check_sha256(
            &[b'a'; 1_000_000],
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
        );
    }

    #[test]
    fn every_byte_has_its_two_digits() {
        for byte in 0..=u8::MAX {
            assert_eq!(hex(&[byte]), format!("{byte:02x}"));
        }
    }

    #[test]
    fn nothing_is_recorded_when_it_is_omitted() {
        assert_eq!(TokenMode::Omit.reference(b"token"), None);
    }

    #[test]
    fn a_clear_token_is_cut_between_characters() {
        let clear = |token: &[u8]| TokenMode::Clear.reference(token).unwrap();
        assert_eq!(clear(b""), "clear:");
        assert_eq!(clear(b"token"), "clear:token");
        assert_eq!(clear(b"a\xffb"), "clear:a\u{fffd}b");

        let x = |count: usize| "x".repeat(count);
        assert_eq!(clear(x(4096).as_bytes()), format!("clear:{}", x(4096)));
        assert_eq!(clear(x(4097).as_bytes()), format!("clear:{}", x(4096)));
        assert_eq!(
            clear(format!("{}ä", x(4094)).as_bytes()),
            format!("clear:{}ä", x(4094))
        );
        assert_eq!(
            clear(format!("{}äz", x(4095)).as_bytes()),
            format!("clear:{}", x(4095))
        );
        assert_eq!(
            clear(&[0xff; 4096]).len(),
            "clear:".len() + 4095,
            "the limit is that of what is recorded"
        );
    }

    #[test]
    fn modes_are_equal_by_key_and_name() {
        let mode = |id, key| TokenMode::Hmac(HmacKey::new(id, key).unwrap());
        assert_eq!(mode("a", KEY), mode("a", KEY));
        assert_ne!(mode("a", KEY), mode("b", KEY));
        assert_ne!(
            mode("a", KEY),
            mode("a", b"another key of thirty-two bytes or more")
        );
        assert_ne!(mode("a", KEY), TokenMode::Sha256);
    }

    #[test]
    fn a_key_is_never_shown() {
        let shown = format!(
            "{:?}",
            TokenMode::Hmac(HmacKey::new("2026-08", KEY).unwrap())
        );
        assert_eq!(shown, r#"Hmac(HmacKey { id: "2026-08", .. })"#);
    }
}
