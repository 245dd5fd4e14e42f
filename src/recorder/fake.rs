//! A fake stream with properties and response set by the test.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::host::{Property, Stream};

/// Returns table values and counts the calls.
#[derive(Debug, Default)]
pub(crate) struct FakeStream {
    pub(crate) properties: HashMap<Property, Vec<u8>>,
    pub(crate) response_headers: HashMap<String, Vec<u8>>,
    /// Response headers after those; names may repeat.
    pub(crate) repeated_response_headers: Vec<(String, Vec<u8>)>,
    pub(crate) response_trailers: HashMap<String, Vec<u8>>,
    pub(crate) by_path: HashMap<String, Vec<u8>>,
    /// Request headers at the end of the stream.
    pub(crate) request_headers: Vec<(String, Vec<u8>)>,
    /// The current chunk of the response's body.
    pub(crate) chunk: RefCell<Vec<u8>>,
    /// Bytes fetched of all chunks.
    pub(crate) fetched: Cell<usize>,
    /// Number of calls that read all response headers.
    pub(crate) maps: Cell<u32>,
    pub(crate) asked: RefCell<Vec<Property>>,
}

impl FakeStream {
    pub(crate) fn with_properties(mut self, properties: &[(Property, &str)]) -> Self {
        let owned = properties
            .iter()
            .map(|(property, value)| (*property, value.as_bytes().to_vec()));
        self.properties.extend(owned);
        self
    }

    pub(crate) fn with_number(mut self, property: Property, number: i64) -> Self {
        self.properties
            .insert(property, number.to_le_bytes().to_vec());
        self
    }

    pub(crate) fn with_headers(mut self, headers: &[(&str, &str)]) -> Self {
        self.response_headers = owned(headers);
        self
    }

    pub(crate) fn with_trailers(mut self, trailers: &[(&str, &str)]) -> Self {
        self.response_trailers = owned(trailers);
        self
    }
}

fn owned(pairs: &[(&str, &str)]) -> HashMap<String, Vec<u8>> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect()
}

/// Serializes a header map like a proxy-wasm host.
pub(crate) fn serialized(pairs: &[(&str, &[u8])]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
    let mut out = u32::try_from(pairs.len()).unwrap().to_le_bytes().to_vec();
    for (name, value) in pairs {
        out.extend([length(name.as_bytes()), length(value)].concat());
    }
    for (name, value) in pairs {
        out.extend([name.as_bytes(), b"\0", value, b"\0"].concat());
    }
    out
}

impl Stream for FakeStream {
    fn property(&self, property: Property) -> Option<Vec<u8>> {
        self.asked.borrow_mut().push(property);
        self.properties.get(&property).cloned()
    }

    fn response_headers(&self) -> Vec<u8> {
        self.maps.set(self.maps.get() + 1);

        let repeated = self
            .repeated_response_headers
            .iter()
            .map(|(name, value)| (name, value));
        let all = self.response_headers.iter().chain(repeated);
        let pairs: Vec<(&str, &[u8])> = all
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect();

        serialized(&pairs)
    }

    fn request_headers(&self) -> Vec<u8> {
        let pairs = self
            .request_headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()));
        serialized(&pairs.collect::<Vec<_>>())
    }

    fn response_body(&self, start: usize, max_bytes: usize) -> Vec<u8> {
        let chunk = self.chunk.borrow();
        let part: Vec<u8> = chunk
            .get(start..)
            .unwrap_or_default()
            .iter()
            .take(max_bytes)
            .copied()
            .collect();

        self.fetched.set(self.fetched.get() + part.len());
        part
    }

    fn property_at(&self, path: &str) -> Option<Vec<u8>> {
        self.by_path.get(path).cloned()
    }

    fn response_trailer(&self, name: &str) -> Option<Vec<u8>> {
        self.response_trailers.get(name).cloned()
    }
}
