//! One exchange as far as it has come: what the filter keeps between its callbacks.

use std::borrow::Cow;
use std::rc::Rc;

use super::capture::Captured;
use super::correlation::Correlation;
use super::identity::Claims;
use super::ongoing::Slot;
use super::policy::{Readings, Rule};
use super::request::Request;
use super::response_json::Body;
use super::rpc::{BodyEnd, Claim, Found, Wire};
use super::session::{Session, SessionId};
use super::tracking::Tracking;
use super::trust::Verdict;
use crate::host::{Property, Stream};
use crate::record::{Protocol, RequireAudit};
use crate::time::Now;

/// The state of one stream. Little in it for a request that no rule matches.
#[derive(Debug, Default)]
pub struct Exchange {
    seen: bool,
    /// The connection's number, where the host has one; `None`: not asked yet.
    connection: Option<Option<u64>>,
    verdict: Option<Verdict>,
    /// The gateway role has set the control headers, so those of the request are not the client's.
    set_by_gateway: bool,
    /// Its record was made, though the stream is recreated.
    concluded: bool,
    /// Its response has begun.
    answered: bool,
    /// What a trusted peer wrote into the control headers of a request that no rule matched. The headers are removed, so
    /// a recreated stream has it from here.
    marked: Option<Box<Tracking>>,
    audited: Option<Box<Audited>>,
}

/// A request that a rule matched, and that is recorded if it ends as the rule wants.
#[derive(Debug)]
pub(super) struct Audited {
    pub(super) subject: Subject,
    pub(super) seen: Seen,
    /// Its place among the exchanges that are going on.
    pub(super) slot: Option<Slot>,
}

/// Everything that is kept of a request.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// The rules that may decide, in their order; at least one.
    pub(super) candidates: Vec<Candidate>,
    pub(super) claim: Claim,
    /// When the headers came; `None` for a request that the filter saw only after its end.
    pub(super) start: Option<Now>,
    /// The client has set a limit to the time that an answer may take.
    pub(super) has_deadline: bool,
    pub(super) tracking: Tracking,
    pub(super) request: Request,
    pub(super) session: Session,
    pub(super) correlation: Option<Correlation>,
    /// `network.protocol.version`
    pub(super) version: Option<Cow<'static, [u8]>>,
    /// Number of the record that says that the exchange is going on, where there is one.
    pub(super) started_number: Option<u64>,
}

/// A rule that may decide about an exchange, and what it takes from the request.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) rule: Rc<Rule>,
    /// The protocols for which it is the rule that matches.
    pub(super) readings: Readings,
    pub(super) claims: Claims,
    pub(super) captured: Captured,
}

/// What was seen of the answer on its way.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// All of it has come as far as this filter.
    pub(super) is_whole: bool,
    /// It has ended with trailers that have the status of a call.
    pub(super) has_trailers: bool,
    /// The upstream has answered in gRPC, where that was looked at.
    pub(super) is_grpc: bool,
    /// The status of a call, where it was found before the end of the stream.
    pub(super) status: Option<Found>,
    /// The id of the session that the answer begins.
    pub(super) begun: Option<SessionId>,
    /// The headers in the host's serialization, where they are gone when the stream ends.
    pub(super) headers: Option<Vec<u8>>,
    /// The body, where the user is to be found in it.
    pub(super) body: Option<Box<Body>>,
    /// The end of the body, where the status of a call is to be found in it.
    pub(super) body_end: Option<Box<BodyEnd>>,
}

impl Exchange {
    /// Whether the request headers have been handled.
    #[must_use]
    pub fn is_seen(&self) -> bool {
        self.seen
    }

    /// Whether its request has been handled and nothing is kept of it: no rule matched, or its record was made.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.seen && !self.outlives_its_stream()
    }

    /// Whether its rules were found, so that a recreated stream goes on with them.
    pub(super) fn is_decided(&self) -> bool {
        self.audited.is_some() || self.set_by_gateway || self.concluded
    }

    /// Whether something of it would be missed if the stream was recreated: a record, or the meaning of headers that this
    /// filter has removed or set.
    pub(super) fn outlives_its_stream(&self) -> bool {
        self.is_decided() || self.marked.is_some()
    }

    /// Whether the end of its stream must be looked at, since it may not be the end of the exchange. A response that has
    /// begun is no redirect; that of an audited exchange is looked at anyway.
    pub(super) fn may_be_recreated(&self) -> bool {
        match &self.audited {
            Some(audited) => !audited.seen.has_trailers,
            None => self.outlives_its_stream() && !self.answered,
        }
    }

    pub(super) fn answer(&mut self) {
        self.answered = true;
    }

    /// Whether its stream has no end that is logged: HTTP/3.
    #[must_use]
    pub fn is_quic(&self) -> bool {
        self.audited()
            .is_some_and(|audited| audited.subject.is_quic())
    }

    /// Whether the request has gone on, as far as this filter is concerned: an earlier filter has not answered it.
    #[must_use]
    pub fn is_on_request_path(&self) -> bool {
        self.audited()
            .is_none_or(|audited| audited.subject.start.is_some())
    }

    /// Notes its place among the exchanges that are going on.
    pub fn watch(&mut self, slot: Option<Slot>) {
        if let Some(audited) = &mut self.audited {
            audited.slot = slot;
        }
    }

    /// Takes that place.
    pub fn unwatch(&mut self) -> Option<Slot> {
        self.audited.as_mut()?.slot.take()
    }

    /// Notes the number of the record that says that it is going on. Its end is recorded then, whatever it is.
    pub fn started(&mut self, number: Option<u64>) {
        if let Some(audited) = &mut self.audited {
            audited.slot = None;
            audited.subject.started_number = number;
        }
    }

    pub(super) fn conclude(&mut self) {
        self.concluded = true;
    }

    pub(super) fn begin(&mut self) {
        self.seen = true;
    }

    pub(super) fn set_by_gateway(&mut self) {
        self.set_by_gateway = true;
    }

    pub(super) fn is_set_by_gateway(&self) -> bool {
        self.set_by_gateway
    }

    pub(super) fn mark(&mut self, tracking: Tracking) {
        self.marked = Some(Box::new(tracking));
    }

    pub(super) fn take_mark(&mut self) -> Option<Box<Tracking>> {
        self.marked.take()
    }

    pub(super) fn audit(&mut self, audited: Box<Audited>) {
        self.audited = Some(audited);
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

    /// The number of the stream's connection; one host call the first time.
    pub(super) fn connection(&mut self, stream: &dyn Stream) -> Option<u64> {
        *self
            .connection
            .get_or_insert_with(|| stream.number(Property::ConnectionId))
    }

    pub(super) fn judge(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
    }
}

impl Subject {
    /// What must be kept before the request goes upstream: the strictest of the rules by which it may be read.
    pub(super) fn required(&self) -> RequireAudit {
        self.expected()
            .map(|candidate| candidate.rule.require_audit)
            .max()
            .unwrap_or_default()
    }

    /// The candidates for the protocols that the request allows for.
    pub(super) fn expected(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates
            .iter()
            .filter(|candidate| self.claim.expects(candidate.readings))
    }

    /// The place of the candidate that speaks for the exchange before its end: the first for what the request claims.
    pub(super) fn likely(&self) -> usize {
        let protocol = self.claim.protocol();
        self.candidates
            .iter()
            .position(|candidate| candidate.readings.has(protocol))
            .unwrap_or_default()
    }

    /// Whether `on_log` is not called for the stream: Envoy logs it when its filters are gone (Envoy
    /// `source/common/quic/quic_stats_gatherer.cc`).
    pub(super) fn is_quic(&self) -> bool {
        self.version.as_deref() == Some(b"3")
    }
}

impl Claim {
    /// The protocol that the request claims. JSON without a word of Connect is plain until its answer says otherwise.
    pub(super) fn protocol(self) -> Protocol {
        if self.is_rpc() && self != Self::Rpc(Wire::Json) {
            Protocol::Grpc
        } else {
            Protocol::Http
        }
    }

    /// Whether an exchange with such a request may turn out to be one for this rule, as far as its filters are not
    /// translated by others. Any request may turn out to be plain HTTP.
    pub(super) fn expects(self, readings: Readings) -> bool {
        readings.has(Protocol::Http) || self.is_rpc()
    }
}
