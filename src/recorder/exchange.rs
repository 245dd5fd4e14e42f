//! One exchange as far as it has come: what the filter keeps between its callbacks.

use std::rc::Rc;

use super::capture::Captured;
use super::correlation::Correlation;
use super::identity::Claims;
use super::policy::{self, RequestHead, Rule};
use super::response_json::Body;
use super::session::{Session, SessionId};
use super::trace;
use super::tracking::{Tracking, clipped};
use super::trust::Verdict;
use crate::host::{Property, Stream};
use crate::record::{Protocol, TraceContext};
use crate::time::Now;

/// The state of one stream. Nothing in it for a request that no rule matches.
#[derive(Debug, Default)]
pub struct Exchange {
    seen: bool,
    /// The connection's number, where the host has one; `None`: not asked yet.
    connection: Option<Option<u64>>,
    verdict: Option<Verdict>,
    /// The gateway role has said what the next hop records, so the client does not.
    spoken_for: bool,
    audited: Option<Box<Audited>>,
    /// What is read of the response, where the user is to be found in it.
    body: Option<Box<Body>>,
}

/// A request that a rule matched, and that is recorded if it ends as the rule wants.
#[derive(Clone, Debug)]
pub(super) struct Audited {
    pub(super) rule: Rc<Rule>,
    /// When the headers came; `None` for a request that the filter saw only after its end.
    pub(super) start: Option<Now>,
    pub(super) tracking: Tracking,
    pub(super) request: Request,
    pub(super) session: Session,
    /// The id of the session that the response begins.
    pub(super) begun: Option<SessionId>,
    pub(super) claims: Claims,
    pub(super) captured: Captured,
    pub(super) correlation: Option<Correlation>,
}

/// What is recorded of the request itself, each value bounded.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) protocol: Protocol,
    pub(super) method: Vec<u8>,
    pub(super) path: Vec<u8>,
    pub(super) host: Vec<u8>,
    pub(super) user_agent: Option<Vec<u8>>,
    pub(super) request_id: Option<Vec<u8>>,
    pub(super) trace: Option<TraceContext>,
    /// `x-forwarded-for`, where it has one value that is no longer than an address.
    pub(super) forwarded_for: Option<Vec<u8>>,
}

/// Longest path that is recorded, in bytes; the rest is cut.
pub const MAX_PATH_BYTES: usize = 4096;
/// Longest method, host, request id, user, and other name that is recorded, in bytes; the rest is cut. 253 is DNS's longest.
pub const MAX_NAME_BYTES: usize = 256;
/// Longest `user_agent.original`, in bytes; the rest is cut.
pub const MAX_USER_AGENT_BYTES: usize = 256;

impl Exchange {
    /// Whether the request headers have been handled.
    #[must_use]
    pub fn is_seen(&self) -> bool {
        self.seen
    }

    /// How many bytes of a chunk of the response's body are needed; for none of them the host need not be asked.
    #[must_use]
    pub fn wants_of_chunk(&self, chunk_bytes: usize) -> usize {
        self.body.as_ref().map_or(0, |body| body.wants(chunk_bytes))
    }

    /// Takes what was needed of a chunk of this size.
    pub fn handle_response_chunk(&mut self, needed: &[u8], chunk_bytes: usize) {
        if let Some(body) = &mut self.body {
            body.push(needed, chunk_bytes);
        }
    }

    pub(super) fn read_body(&mut self, body: Body) {
        self.body = Some(Box::new(body));
    }

    /// What was read of the response, which is kept no longer.
    pub(super) fn take_body(&mut self) -> Option<Box<Body>> {
        self.body.take()
    }

    pub(super) fn begin(&mut self) {
        self.seen = true;
    }

    pub(super) fn speak_for(&mut self) {
        self.spoken_for = true;
    }

    pub(super) fn is_spoken_for(&self) -> bool {
        self.spoken_for
    }

    pub(super) fn audit(&mut self, audited: Audited) {
        self.audited = Some(Box::new(audited));
    }

    pub(super) fn audited(&self) -> Option<&Audited> {
        self.audited.as_deref()
    }

    pub(super) fn audited_mut(&mut self) -> Option<&mut Audited> {
        self.audited.as_deref_mut()
    }

    pub(super) fn take(&mut self) -> Option<Box<Audited>> {
        self.audited.take()
    }

    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// The number of the stream's connection, which is asked for once.
    pub(super) fn connection(&mut self, stream: &dyn Stream) -> Option<u64> {
        *self.connection.get_or_insert_with(|| stream.number(Property::ConnectionId))
    }

    pub(super) fn judge(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
    }
}

impl Request {
    pub(super) fn read(head: &RequestHead<'_>) -> Self {
        let bounded = |name: &str, max: usize| head.headers.first(name).map(|value| clipped(value, max).to_vec());
        Self {
            protocol: head.protocol,
            method: clipped(head.method, MAX_NAME_BYTES).to_vec(),
            path: clipped(head.path, MAX_PATH_BYTES).to_vec(),
            host: clipped(policy::host(head.authority), MAX_NAME_BYTES).to_vec(),
            user_agent: bounded("user-agent", MAX_USER_AGENT_BYTES),
            request_id: bounded("x-request-id", MAX_NAME_BYTES),
            trace: head.headers.first("traceparent").and_then(trace::parse),
            forwarded_for: head
                .headers
                .only("x-forwarded-for")
                .filter(|value| may_be_address(value))
                .map(<[u8]>::to_vec),
        }
    }
}

/// By its length: the longest IPv6 address, with an IPv4 one in it, has 45 characters (RFC 4291, section 2.2).
fn may_be_address(value: &[u8]) -> bool {
    value.len() <= 45
}
