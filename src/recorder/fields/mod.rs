//! The recorded fields of a request, whatever its outcome.

pub(super) mod action;
pub(super) mod trace;
pub(super) mod tunnel;

use super::bounds::{MAX_NAME_BYTES, MAX_PATH_BYTES, MAX_USER_AGENT_BYTES, clipped};
use super::rules::RequestHead;
use super::uri::{authority, path_parameters};
use tunnel::Tunnel;

use crate::record::{RequestParts, RequestText, TraceContext};

/// Record fields taken from the request, each value bounded.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) text: RequestText,
    pub(super) tunnel: Option<Tunnel>,
    pub(super) trace: Option<Box<TraceContext>>,
}

impl Request {
    pub(super) fn read(head: &RequestHead<'_>) -> Self {
        let headers = head.headers;
        let bounded = |name: &str, max: usize| headers.first(name).map(|value| clipped(value, max));
        let text = RequestText::new(&RequestParts {
            method: clipped(head.method, MAX_NAME_BYTES),
            path: clipped(&path_parameters::redacted(head.path), MAX_PATH_BYTES),
            host: clipped(&authority::host_name(head.authority), MAX_NAME_BYTES),
            // At most one value of each of these two: Envoy joins several.
            user_agent: bounded("user-agent", MAX_USER_AGENT_BYTES),
            request_id: bounded("x-request-id", MAX_NAME_BYTES),
            forwarded_for: headers
                .only("x-forwarded-for")
                .filter(|value| may_be_address(value)),
        });

        // `traceparent` is not a list (W3C Trace Context, section 3.2): several values are invalid.
        let trace = headers
            .only("traceparent")
            .and_then(trace::parse)
            .map(Box::new);

        Self {
            text,
            tunnel: Tunnel::of(head),
            trace,
        }
    }
}

/// Checks the length: the longest IPv6 address, with an embedded IPv4 address, has 45 characters
/// (RFC 4291, section 2.2).
fn may_be_address(value: &[u8]) -> bool {
    value.len() <= 45
}
