//! An ordered list of header fields with duplicates and raw value bytes.

use hyper::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderName, InvalidHeaderValue};

/// Header or trailer fields, in order, duplicates kept, values as raw bytes.
///
/// Fields read from a message have lower-case names. The values of one name are adjacent, in their
/// order of arrival.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The list with one field more; an equal name already there is kept too.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.0.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// The first value of `name` (any case), as bytes.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.all(name).into_iter().next()
    }

    /// The first value of `name` as text; bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.first(name)
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Every value of `name` (any case), in order.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        self.iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// Whether a field with this name (any case) is there.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same fields as hyper's map.
    ///
    /// # Errors
    /// A name or value that HTTP does not allow; send such things with
    /// [`crate::client::raw_exchange`].
    pub fn to_map(&self) -> Result<HeaderMap, InvalidField> {
        let mut map = HeaderMap::new();
        for (name, value) in &self.0 {
            map.append(
                HeaderName::from_bytes(name.as_bytes())?,
                HeaderValue::from_bytes(value)?,
            );
        }
        Ok(map)
    }
}

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = self
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.escape_ascii()));
        f.debug_list().entries(lines).finish()
    }
}

impl From<&HeaderMap> for Headers {
    fn from(map: &HeaderMap) -> Self {
        Self(
            map.iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
                .collect(),
        )
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Headers {
    fn from(fields: [(&str, &str); N]) -> Self {
        Self(
            fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect(),
        )
    }
}

/// A header name or value that cannot be sent through an HTTP library.
#[derive(Debug)]
pub struct InvalidField(String);

impl std::fmt::Display for InvalidField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidField {}

impl From<InvalidHeaderName> for InvalidField {
    fn from(error: InvalidHeaderName) -> Self {
        Self(error.to_string())
    }
}

impl From<InvalidHeaderValue> for InvalidField {
    fn from(error: InvalidHeaderValue) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_and_raw_bytes_survive_the_map() {
        let headers = Headers::new()
            .with("x-a", "1")
            .with("x-b", b"a\xff\xfeb")
            .with("x-a", "2");
        let back = Headers::from(&headers.to_map().unwrap());
        assert_eq!(back.all("X-A"), [b"1", b"2"]);
        assert_eq!(back.first("x-b"), Some(&b"a\xff\xfeb"[..]));
        assert_eq!(back.text("x-c"), None);
    }

    #[test]
    fn a_field_that_http_forbids_is_refused() {
        assert!(Headers::new().with("x-a", "1\r\n2").to_map().is_err());
        assert!(Headers::new().with("x a", "1").to_map().is_err());
    }
}
