//! An external processor: the least that Envoy's filter `ext_proc` needs.

use std::collections::HashSet;

use crate::bench::requests::CONTROL;
use crate::wire::frame::{DATA, END_HEADERS, END_STREAM, HEADERS, field, frame};

/// Bytes of gRPC before a message (its specification of HTTP/2, "Length-Prefixed-Message").
const PREFIX: usize = 5;
/// The first byte of a `ProcessingRequest` with request headers, which is field 2, a message.
const REQUEST_HEADERS: u8 = 2 << 3 | 2;

/// The open streams of one connection.
#[derive(Default)]
pub(crate) struct Processor(HashSet<u32>);

impl Processor {
    /// The frames that answer a message of a stream. The request's control headers are removed.
    pub(crate) fn answer(&mut self, stream: u32, message: &[u8]) -> Vec<u8> {
        let response = match message.get(PREFIX) {
            Some(&REQUEST_HEADERS) => field_of(1, &removal()),
            // To the response's headers: no change.
            Some(_) => field_of(2, &[]),
            None => return Vec::new(),
        };

        let length = u32::try_from(response.len()).expect("answers are short");
        let message = [&[0], &length.to_be_bytes()[..], &response].concat();
        let head = if self.0.insert(stream) {
            frame(HEADERS, END_HEADERS, stream, &head())
        } else {
            Vec::new()
        };
        [head, frame(DATA, 0, stream, &message)].concat()
    }

    /// The frame that ends a stream; `None` for one without an answer.
    pub(crate) fn end(&mut self, stream: u32) -> Option<Vec<u8>> {
        let status = field("grpc-status", "0");
        let ended = self.0.remove(&stream);
        ended.then(|| frame(HEADERS, END_HEADERS | END_STREAM, stream, &status))
    }
}

/// `HeadersResponse.response.header_mutation.remove_headers` (Envoy,
/// `envoy/service/ext_proc/v3/external_processor.proto`).
fn removal() -> Vec<u8> {
    let names = CONTROL.map(|name| field_of(2, name.as_bytes()));
    field_of(1, &field_of(2, &names.concat()))
}

/// A field of protobuf with a length.
fn field_of(number: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len())
        .ok()
        .filter(|length| *length < 128);
    [&[number << 3 | 2, length.expect("values are short")], value].concat()
}

fn head() -> Vec<u8> {
    [
        field(":status", "200"),
        field("content-type", "application/grpc"),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(first: u8) -> Vec<u8> {
        vec![0, 0, 0, 0, 1, first]
    }

    #[test]
    fn the_first_answer_removes_the_control_headers() {
        let mut processor = Processor::default();
        let first = processor.answer(1, &message(REQUEST_HEADERS));
        for name in CONTROL {
            let found = first
                .windows(name.len())
                .filter(|part| *part == name.as_bytes());
            assert_eq!(found.count(), 1, "{name}");
        }

        let second = processor.answer(1, &message(3 << 3 | 2));
        assert_eq!(second, frame(DATA, 0, 1, &[0, 0, 0, 0, 2, 2 << 3 | 2, 0]));
        assert!(processor.end(1).is_some() && processor.end(1).is_none());
    }
}
