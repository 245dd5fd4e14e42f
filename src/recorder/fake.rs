//! A stream whose properties and response are given by the test.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::host::{Property, Stream};

/// Answers from tables, and notes what it was asked for.
#[derive(Debug, Default)]
pub(crate) struct FakeStream {
    pub(crate) properties: HashMap<Property, Vec<u8>>,
    pub(crate) response_headers: HashMap<String, Vec<u8>>,
    pub(crate) response_trailers: HashMap<String, Vec<u8>>,
    pub(crate) asked: RefCell<Vec<Property>>,
}

impl FakeStream {
    pub(crate) fn with_properties(mut self, properties: &[(Property, &str)]) -> Self {
        let owned = properties.iter().map(|(property, value)| (*property, value.as_bytes().to_vec()));
        self.properties.extend(owned);
        self
    }

    pub(crate) fn with_number(mut self, property: Property, number: i64) -> Self {
        self.properties.insert(property, number.to_le_bytes().to_vec());
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
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

impl Stream for FakeStream {
    fn property(&self, property: Property) -> Option<Vec<u8>> {
        self.asked.borrow_mut().push(property);
        self.properties.get(&property).cloned()
    }

    fn response_header(&self, name: &str) -> Option<Vec<u8>> {
        self.response_headers.get(name).cloned()
    }

    fn response_trailer(&self, name: &str) -> Option<Vec<u8>> {
        self.response_trailers.get(name).cloned()
    }
}
