//! The values of one query parameter, as a form's reader sees them.

use super::path::escape;
use super::tracking::clipped;

/// Longest text of one parameter that is captured, in bytes; the rest is cut between characters.
pub const MAX_CAPTURED_BYTES: usize = 256;

/// The query of a `:path`: what follows the first `?`, without a fragment. `None` without a `?`.
#[must_use]
pub fn of_path(path: &[u8]) -> Option<&[u8]> {
    let path = path.split(|byte| *byte == b'#').next()?;
    let at = path.iter().position(|byte| *byte == b'?')?;
    path.get(at + 1..)
}

/// All values of the parameter `name`, decoded and joined with `, `; at most [`MAX_CAPTURED_BYTES`].
///
/// Read as `application/x-www-form-urlencoded` (URL standard): `+` is a space, `%XX` a byte, also in names; a percent
/// sign that begins no such sequence stands for itself. `None` when the name does not occur; without `=` the value is
/// empty. The bytes need not be UTF-8.
#[must_use]
pub fn values(query: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    for pair in query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (found, value) = pair.split_at_checked(end).unwrap_or_default();
        if !Decoded(found).eq(name.bytes()) {
            continue;
        }
        match &mut out {
            Some(out) => out.extend_from_slice(b", "),
            None => out = Some(Vec::new()),
        }
        let out = out.get_or_insert_default();
        let room = (MAX_CAPTURED_BYTES + 1).saturating_sub(out.len());
        out.extend(Decoded(value.get(1..).unwrap_or_default()).take(room));
    }
    out.map(|text| clipped(&text, MAX_CAPTURED_BYTES).to_vec())
}

/// The bytes that a part of a form stands for.
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (&byte, tail) = self.0.split_first()?;
        if let Some(decoded) = escape(self.0) {
            self.0 = self.0.get(3..).unwrap_or_default();
            return Some(decoded);
        }
        self.0 = tail;
        Some(if byte == b'+' { b' ' } else { byte })
    }
}
