//! State of one exchange between the callbacks of the filter.

use std::borrow::Cow;
use std::mem;
use std::rc::Rc;

use super::capture::Captured;
use super::correlation::Correlation;
use super::fields::Request;
use super::identity::Claims;
use super::identity::response_json::Body;
use super::ongoing::Slot;
use super::rpc::{BodyEnd, Claim, Found, Wire};
use super::rules::{Readings, Rule};
use super::session::{Session, SessionId};
use super::tracking::Tracking;
use super::trust::TrustLevel;
use crate::host::{Property, Stream};
use crate::record::{Protocol, RequireAudit};
use crate::time::Now;

/// The state of one stream; small for a request that no rule matches.
#[derive(Debug, Default)]
pub struct Exchange {
    state: State,
    connection: Connection,
    /// Trust in the peer; `None`: not needed so far.
    trust: Option<TrustLevel>,
    /// The gateway role set the control headers; those now in the request are not the client's.
    set_by_gateway: bool,
    /// Its response has begun.
    answered: bool,
}

/// What is kept of an exchange.
#[derive(Debug, Default)]
enum State {
    /// Its request headers were not handled.
    #[default]
    New,
    /// Nothing: no rule matched, or its record was made.
    Done,
    /// Control headers of a trusted peer, where no rule matched. They are removed from the request,
    /// so a recreated stream reads them here.
    Marked(Box<Tracking>),
    /// Everything: at least one rule matched.
    Audited(Box<Audited>),
    /// Nothing, but its stream is recreated after its record was made.
    Concluded,
}

/// The number of the stream's connection.
#[derive(Clone, Copy, Debug, Default)]
enum Connection {
    #[default]
    Unread,
    /// The host provides none.
    Unnumbered,
    Number(u64),
}

/// A request matched by a rule. It is recorded if its end is one that the rule records.
#[derive(Debug)]
pub(super) struct Audited {
    pub(super) subject: Subject,
    pub(super) seen: Seen,
    /// Its place in the list of open exchanges.
    pub(super) slot: Option<Slot>,
}

/// Request state kept until the end.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// The rules that may decide, in configuration order; at least one.
    pub(super) candidates: Vec<Candidate>,
    pub(super) claim: Claim,
    /// When the headers came; `None` if the filter was called only after the stream's end.
    pub(super) start: Option<Now>,
    /// The client has set a limit for the response time.
    pub(super) has_deadline: bool,
    pub(super) tracking: Tracking,
    pub(super) request: Request,
    pub(super) session: Session,
    pub(super) correlation: Option<Correlation>,
    /// `network.protocol.version`
    pub(super) version: Option<Cow<'static, [u8]>>,
    /// Number of the "started" record, if there is one.
    pub(super) started_number: Option<u64>,
}

/// A rule that may decide about an exchange, and the values it takes from the request.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) rule: Rc<Rule>,
    /// The protocols for which this rule matches.
    pub(super) readings: Readings,
    pub(super) claims: Claims,
    pub(super) captured: Captured,
}

/// State collected from the response callbacks.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The complete response has reached this filter.
    pub(super) is_whole: bool,
    /// The response ended with trailers that have the status of a call.
    pub(super) has_trailers: bool,
    /// The upstream responded in gRPC; set only where that was checked.
    pub(super) is_grpc: bool,
    /// Status of a call, if found before the end of the stream.
    pub(super) status: Option<Found>,
    /// Id of the session that the response begins.
    pub(super) begun: Option<SessionId>,
    /// The serialized headers, kept if they are no longer available at the end of the stream.
    pub(super) headers: Option<Vec<u8>>,
    /// The body, if an identity source reads it.
    pub(super) body: Option<Box<Body>>,
    /// The end of the body, if it has the status of a call.
    pub(super) body_end: Option<Box<BodyEnd>>,
}

impl Exchange {
    /// Whether the request headers have been handled.
    #[must_use]
    pub fn is_seen(&self) -> bool {
        !matches!(self.state, State::New)
    }

    /// Whether its request was handled and nothing is kept of it: no rule matched, or its record
    /// was made.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Done) && !self.set_by_gateway
    }

    /// Whether its rules are known, so that a recreated stream reuses them.
    pub(super) fn is_decided(&self) -> bool {
        matches!(self.state, State::Audited(_) | State::Concluded) || self.set_by_gateway
    }

    /// Whether its stream's end must be checked, since the exchange may continue: a recreated
    /// stream needs this state, for a record or for headers that this filter removed or set. A
    /// response that has begun is not a redirect; an audited exchange is checked anyway.
    pub(super) fn may_be_recreated(&self) -> bool {
        match &self.state {
            State::Audited(audited) => !audited.seen.has_trailers,
            State::Marked(_) | State::Concluded => !self.answered,
            State::New | State::Done => self.set_by_gateway && !self.answered,
        }
    }

    /// Whether Envoy calls no `on_log` at the end of its stream: HTTP/3.
    #[must_use]
    pub fn is_quic(&self) -> bool {
        self.audited()
            .is_some_and(|audited| audited.subject.is_quic())
    }

    /// Whether the request passed this filter, so that no earlier filter responded.
    #[must_use]
    pub fn is_on_request_path(&self) -> bool {
        self.audited()
            .is_none_or(|audited| audited.subject.start.is_some())
    }

    /// Notes its place in the list of open exchanges.
    pub fn watch(&mut self, slot: Option<Slot>) {
        if let Some(audited) = self.audited_mut() {
            audited.slot = slot;
        }
    }

    /// Whether it has a place in the list of open exchanges.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.audited().is_some_and(|audited| audited.slot.is_some())
    }

    /// Takes that place.
    pub fn unwatch(&mut self) -> Option<Slot> {
        self.audited_mut()?.slot.take()
    }

    /// Notes the number of the "started" record. The end is then recorded, whatever the outcome.
    pub fn started(&mut self, number: Option<u64>) {
        if let Some(audited) = self.audited_mut() {
            audited.slot = None;
            audited.subject.started_number = number;
        }
    }

    /// Notes that its request is handled. Returns the control headers of the stream that this one
    /// continues.
    pub(super) fn begin(&mut self) -> Option<Box<Tracking>> {
        match mem::replace(&mut self.state, State::Done) {
            State::Marked(tracking) => Some(tracking),
            _ => None,
        }
    }

    pub(super) fn mark(&mut self, tracking: Tracking) {
        self.state = State::Marked(Box::new(tracking));
    }

    pub(super) fn audit(&mut self, audited: Box<Audited>) {
        self.state = State::Audited(audited);
    }

    pub(super) fn audited(&self) -> Option<&Audited> {
        match &self.state {
            State::Audited(audited) => Some(audited),
            _ => None,
        }
    }

    pub(super) fn audited_mut(&mut self) -> Option<&mut Audited> {
        match &mut self.state {
            State::Audited(audited) => Some(audited),
            _ => None,
        }
    }

    /// Takes what is kept for the record.
    pub(super) fn take(&mut self) -> Option<Box<Audited>> {
        match mem::replace(&mut self.state, State::Done) {
            State::Audited(audited) => Some(audited),
            other => {
                self.state = other;
                None
            }
        }
    }

    pub(super) fn conclude(&mut self) {
        self.state = State::Concluded;
    }

    pub(super) fn answer(&mut self) {
        self.answered = true;
    }

    pub(super) fn set_by_gateway(&mut self) {
        self.set_by_gateway = true;
    }

    pub(super) fn is_set_by_gateway(&self) -> bool {
        self.set_by_gateway
    }

    /// The number of the stream's connection; one host call the first time.
    pub(super) fn connection(&mut self, stream: &dyn Stream) -> Option<u64> {
        if let Connection::Unread = self.connection {
            let number = stream.number(Property::ConnectionId);
            self.connection = number.map_or(Connection::Unnumbered, Connection::Number);
        }

        match self.connection {
            Connection::Number(number) => Some(number),
            Connection::Unread | Connection::Unnumbered => None,
        }
    }

    pub(super) fn trust(&self) -> Option<TrustLevel> {
        self.trust
    }

    pub(super) fn set_trust(&mut self, level: TrustLevel) {
        self.trust = Some(level);
    }
}

impl Subject {
    /// Requirement before the request goes upstream: the strictest of the candidate rules.
    pub(super) fn required(&self) -> RequireAudit {
        self.expected()
            .map(|candidate| candidate.rule.require_audit)
            .max()
            .unwrap_or_default()
    }

    /// The candidates for the protocols that are possible for this request.
    pub(super) fn expected(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates
            .iter()
            .filter(|candidate| self.claim.expects(candidate.readings))
    }

    /// Index of the candidate used before the end: the first one for the declared protocol.
    pub(super) fn likely(&self) -> usize {
        let protocol = self.claim.protocol();
        self.candidates
            .iter()
            .position(|candidate| candidate.readings.has(protocol))
            .unwrap_or_default()
    }

    /// Whether `on_log` is not called for the stream: Envoy logs it after its filters are destroyed
    /// (Envoy `source/common/quic/quic_stats_gatherer.cc`).
    pub(super) fn is_quic(&self) -> bool {
        self.version.as_deref() == Some(b"3")
    }
}

impl Claim {
    /// The protocol that the request declares. JSON without a Connect header counts as plain HTTP
    /// until the response shows otherwise.
    pub(super) fn protocol(self) -> Protocol {
        if self.is_rpc() && self != Self::Rpc(Wire::Json) {
            Protocol::Grpc
        } else {
            Protocol::Http
        }
    }

    /// Whether such a request may turn out to match this rule, if no other filter translates it.
    /// Any request may turn out to be plain HTTP.
    pub(super) fn expects(self, readings: Readings) -> bool {
        readings.has(Protocol::Http) || self.is_rpc()
    }
}
