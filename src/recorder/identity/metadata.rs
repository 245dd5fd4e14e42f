//! Dynamic metadata of other filters, such as the verified claims of
//! `envoy.filters.http.jwt_authn`.

use crate::host::Stream;

/// Property path of a value in the dynamic metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataPath(String);

/// Prefix of Envoy's dynamic metadata properties (Envoy docs, "Attributes"); elements are separated
/// by NUL.
const ROOT: &str = "metadata\0filter_metadata";

impl MetadataPath {
    /// The path of a namespace, the first element, and the keys below it. `None` without a key, or
    /// if an element is empty or contains a NUL.
    pub fn new<'e>(elements: impl Iterator<Item = &'e str>) -> Option<Self> {
        let (mut path, mut count) = (ROOT.to_owned(), 0);
        for element in elements {
            if element.is_empty() || element.bytes().any(|byte| byte == 0) {
                return None;
            }
            path.push('\0');
            path.push_str(element);
            count += 1;
        }

        (count >= 2).then_some(Self(path))
    }

    /// The string or whole number at the path: one host call. Other types count as absent.
    #[must_use]
    pub fn read(&self, stream: &dyn Stream) -> Option<Vec<u8>> {
        scalar(stream.property_at(&self.0)?)
    }
}

/// Envoy does not report the type of a value. A number is the eight bytes of a double. A whole
/// number below about 2^46 contains a NUL, which no string does. A larger one is invalid UTF-8, or
/// could be a string of eight bytes. It then counts as absent: no name is better than a wrong one.
/// Lists and objects are serialized with lengths, which contain NULs. `true` is one byte 1.
fn scalar(value: Vec<u8>) -> Option<Vec<u8>> {
    let number = <[u8; 8]>::try_from(value.as_slice())
        .ok()
        .map(|double| whole(f64::from_le_bytes(double)));
    let is_text = !value.contains(&0) && str::from_utf8(&value).is_ok();
    match number {
        Some(number) if !is_text => number,
        Some(Some(_)) => None,
        _ => Some(value).filter(|value| is_text && !value.is_empty() && value != &[1]),
    }
}

/// Whole numbers below 2^53 are exact in a double; 2^53 may be a rounded 2^53 + 1, another user's
/// id.
#[expect(
    clippy::cast_possible_truncation,
    reason = "checked to be a whole number in range"
)]
fn whole(number: f64) -> Option<Vec<u8>> {
    const MAX_EXACT: f64 = 9_007_199_254_740_991.0;
    let is_whole = number.fract() == 0.0 && number.abs() <= MAX_EXACT;
    is_whole.then(|| {
        itoa::Buffer::new()
            .format(number as i64)
            .as_bytes()
            .to_vec()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_a_namespace_and_a_key() {
        let path =
            |elements: &[&str]| MetadataPath::new(elements.iter().copied()).map(|path| path.0);
        let whole = path(&["envoy.filters.http.jwt_authn", "jwt", "sub"]);

        assert_eq!(
            whole.as_deref(),
            Some("metadata\0filter_metadata\0envoy.filters.http.jwt_authn\0jwt\0sub")
        );
        for bad in [&["ns"][..], &[], &["ns", ""], &["", "key"], &["ns", "a\0b"]] {
            assert_eq!(path(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_strings_and_whole_numbers_are_read() {
        let number = |number: f64| number.to_le_bytes().to_vec();

        for (value, expected) in [
            (b"alice".to_vec(), Some("alice")),
            (b"12345678".to_vec(), Some("12345678")),
            (number(7.0), Some("7")),
            (number(-7.0), Some("-7")),
            (number(4_503_599_627_370_497.0), Some("4503599627370497")),
            (number(0.0), Some("0")),
            (number(9_007_199_254_740_991.0), Some("9007199254740991")),
            (number(9_007_199_254_740_992.0), None),
            (number(0.5), None),
            (number(1.1), None),
            (number(1e300), None),
            (number(f64::NAN), None),
            (vec![1], None),
            (vec![0], None),
            (b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0b\0".to_vec(), None),
            (Vec::new(), None),
        ] {
            let found = scalar(value.clone());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{value:?}");
        }
    }
}
