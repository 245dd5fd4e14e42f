//! Percent-encoding of paths (RFC 3986, section 2.1).

/// A path in which every byte has a single spelling. Bytes allowed in a segment (RFC 3986, section
/// 3.3, `pchar`) are not encoded; all others but `/` are, with upper-case digits (section 6.2.2.1).
/// An encoded slash stays encoded; a `%` that begins no escape is encoded.
///
/// Envoy forwards many bytes that must be encoded and are not: `"<>[\]^{|}` and the backquote, a
/// lone `%`, and over HTTP/2 every non-ASCII byte.
#[must_use]
pub fn respelled(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for (byte, is_encoded) in decoded(path) {
        if is_pchar(byte) || byte == b'/' && !is_encoded {
            out.push(byte);
        } else {
            out.extend_from_slice(&escaped(byte));
        }
    }
    out
}

/// The decoded bytes of a path, each with whether it was encoded.
pub(super) fn decoded(path: &[u8]) -> impl Iterator<Item = (u8, bool)> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let (&first, tail) = rest.split_first()?;
        let byte = escape(rest);
        rest = if byte.is_some() {
            rest.get(3..).unwrap_or_default()
        } else {
            tail
        };

        Some((byte.unwrap_or(first), byte.is_some()))
    })
}

/// The byte encoded by a leading `%XX`.
pub(in crate::recorder) fn escape(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else {
        return None;
    };
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    Some(digit(high)? << 4 | digit(low)?)
}

/// The escape of a byte.
fn escaped(byte: u8) -> [u8; 3] {
    let digit = |half: u8| {
        if half < 10 {
            b'0' + half
        } else {
            b'A' - 10 + half
        }
    };
    [b'%', digit(byte >> 4), digit(byte & 0xf)]
}

/// RFC 3986, section 3.3: unreserved characters, sub-delims, `:` and `@`.
pub(super) fn is_pchar(byte: u8) -> bool {
    PCHARS
        .get(usize::from(byte))
        .is_some_and(|is_pchar| *is_pchar)
}

/// A table: every path of every request is scanned, and one load costs less than comparisons.
const PCHARS: [bool; 256] = {
    let mut table = [false; 256];
    let (mut rest, mut byte) = (table.as_mut_slice(), 0_u8);
    while let Some((entry, tail)) = rest.split_first_mut() {
        *entry = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'..=b',' | b':' | b';' | b'=' | b'@'
            );
        byte = byte.wrapping_add(1);
        rest = tail;
    }
    table
};
