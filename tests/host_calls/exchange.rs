//! A request and its answer, in the host's form.

use std::collections::BTreeMap;

use super::host::Pairs;

pub(crate) const TRACKED: &[(&str, &str)] = &[
    ("x-session-track", "true"),
    ("x-session-operation", "change_password"),
    ("x-session-context", "ZGV2aWNlPTE="),
];
pub(crate) const JSON: &[(&str, &str)] = &[
    ("content-type", "application/json"),
    ("content-length", "42"),
];

#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) request: Pairs,
    pub(crate) request_body: Vec<u8>,
    pub(crate) response: Pairs,
    pub(crate) body: Vec<u8>,
    /// Empty: the body ends the answer.
    pub(crate) trailers: Pairs,
    pub(crate) properties: BTreeMap<String, Vec<u8>>,
}

impl Exchange {
    /// A request over HTTP/1.1 that is answered with 200 and a short JSON text.
    pub(crate) fn http(path: &str) -> Self {
        let request = [
            (":method", "GET"),
            (":path", path),
            (":authority", "api.example.com"),
            (":scheme", "http"),
            ("content-type", "text/plain"),
            ("user-agent", "curl/8.5.0"),
            ("accept", "*/*"),
            ("cookie", "theme=dark; session=s3cret"),
            ("x-request-id", "5f0c1f8a-6d0e-4c58-9a3d-2b1f0e9d8c7b"),
            ("x-forwarded-for", "10.1.2.3"),
        ];

        let response = [
            (":status", "200"),
            ("server", "envoy"),
            ("date", "Sun, 22 Nov 2026 12:00:00 GMT"),
        ];

        Self {
            request: owned(&request),
            request_body: Vec::new(),
            response: owned(&response),
            body: br#"{"UserId":9007199254740993,"Roles":["1"]}"#.to_vec(),
            trailers: Pairs::new(),
            properties: properties("HTTP/1.1"),
        }
    }

    /// The same as a unary gRPC call: messages both ways, and a status in the trailers.
    pub(crate) fn grpc(path: &str) -> Self {
        let mut exchange = Self::http(path)
            .with("content-type", "application/grpc")
            .with(":method", "POST");
        exchange.request_body = vec![0; 32];
        exchange
            .response
            .extend(owned(&[("content-type", "application/grpc")]));
        exchange.trailers = owned(&[("grpc-status", "0")]);
        exchange.properties = properties("HTTP/2");

        exchange
    }

    /// Sets a request header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let value = value.as_bytes().to_vec();
        match self.request.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.request.push((name.to_owned(), value)),
        }
        self
    }

    pub(crate) fn tracked(self) -> Self {
        TRACKED
            .iter()
            .fold(self, |exchange, (name, value)| exchange.with(name, value))
    }

    /// With a JSON content type of the answer.
    pub(crate) fn json(mut self) -> Self {
        self.response.extend(owned(JSON));
        self
    }
}

/// Envoy's properties of a successful request, with the peer's address from the shipped
/// `envoy.yaml`.
fn properties(protocol: &str) -> BTreeMap<String, Vec<u8>> {
    let texts = [
        ("filter_state\0audit.direct_peer", "10.1.2.3"),
        ("source\0address", "10.1.2.3:4567"),
        ("request\0protocol", protocol),
        ("response\0code_details", "via_upstream"),
    ];

    let numbers = [
        ("response\0flags", 0_i64),
        ("response\0code", 200),
        ("connection_id", 7),
    ];
    let texts = texts.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let numbers = numbers.map(|(name, value)| (name.to_owned(), value.to_le_bytes().to_vec()));
    texts.into_iter().chain(numbers).collect()
}

fn owned(list: &[(&str, &str)]) -> Pairs {
    list.iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect()
}
