//! What is recorded of a request itself, whatever becomes of it.

use super::policy::RequestHead;
use super::tracking::clipped;
use super::tunnel::Tunnel;
use super::{authority, path_parameters, trace};
use crate::record::{RequestParts, RequestText, TraceContext};

/// Longest path that is recorded, in bytes; the rest is cut.
pub const MAX_PATH_BYTES: usize = 4096;
/// Longest method, host, request id, user, and other name that is recorded, in bytes; the rest is cut. 253 is DNS's longest.
pub const MAX_NAME_BYTES: usize = 256;
/// Longest `user_agent.original`, in bytes; the rest is cut.
pub const MAX_USER_AGENT_BYTES: usize = 256;

/// The fields of a record that the request gives, each value bounded.
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
            // Of these two there is one: Envoy joins several.
            user_agent: bounded("user-agent", MAX_USER_AGENT_BYTES),
            request_id: bounded("x-request-id", MAX_NAME_BYTES),
            forwarded_for: headers
                .only("x-forwarded-for")
                .filter(|value| may_be_address(value)),
        });
        // It is no list (W3C Trace Context, section 3.2): several are no trace context.
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

/// By its length: the longest IPv6 address, with an IPv4 one in it, has 45 characters (RFC 4291, section 2.2).
fn may_be_address(value: &[u8]) -> bool {
    value.len() <= 45
}
