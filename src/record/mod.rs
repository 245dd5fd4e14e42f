//! A record: one audited exchange, or one event of the filter itself, complete but not yet encoded.

mod ending;
mod loss;
mod request;

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

pub use ending::{Outcome, Stage, Termination};
pub use loss::{Loss, LossReason};
pub use request::{Action, RequestParts, RequestText};

use crate::recorder::correlation::Correlation;
use crate::recorder::identity::Identity;
use crate::recorder::rpc::{Dialect, StatusSource};
use crate::recorder::session::{Session, SessionEvent};
use crate::recorder::tracking::Context;

/// How an exchange is read: what the server spoke decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Anything that is not gRPC.
    Http,
    /// gRPC in any [`Dialect`].
    Grpc,
}

/// What a rule demands before a request may go upstream; a later one is stricter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequireAudit {
    /// Nothing: audit trouble never touches the request.
    #[default]
    None,
    /// A place in the buffer for its record.
    Buffered,
    /// That too, and the audit cluster's acknowledgement of a record that the request was received.
    Acknowledged,
}

/// What can be recorded of a request before it goes upstream.
#[derive(Debug)]
pub struct Received {
    /// Its record, without an outcome.
    pub record: Box<ExchangeRecord>,
    /// Number of the client's connection; `None` where the host has none.
    pub connection: Option<u64>,
    /// Most bytes by which the encoded record of its end can be longer.
    pub most_ending_bytes: usize,
}

/// Everything that is recorded of one exchange. Bytes are as received; the wire makes them valid UTF-8.
#[derive(Clone, Debug)]
pub struct ExchangeRecord {
    /// Name of the rule that matched.
    pub rule: Rc<str>,
    /// What was done.
    pub action: Action,
    /// Which part of the exchange this is.
    pub stage: Stage,
    /// Number of the record that says that it had started, where there is one.
    pub started_number: Option<u64>,
    /// What the server did; `None` before the end.
    pub outcome: Option<Outcome>,
    /// How the stream ended.
    pub termination: Termination,
    /// Whether the record waits for no timer: `audit.priority`.
    pub immediate: bool,
    /// HTTP or gRPC.
    pub protocol: Protocol,
    /// How gRPC was spoken.
    pub dialect: Dialect,
    /// Start of the request, nanoseconds since the Unix epoch.
    pub start_unix_nanos: u64,
    /// From request headers to the end of the stream.
    pub duration: Duration,
    /// Session context of a tracked request.
    pub context: Option<Context>,
    /// A control header came with more than one distinct value.
    pub header_conflict: bool,
    /// Session id, reference of the session token, kind of authentication.
    pub session: Session,
    /// What the rule says about the session.
    pub session_event: Option<SessionEvent>,
    /// Who did it.
    pub identity: Identity,
    /// What was injected upstream.
    pub correlation: Option<Correlation>,
    /// What the request says of itself.
    pub request: RequestText,
    /// Template of the rule.
    pub route: Option<String>,
    /// Port of a tunnel's target.
    pub port: Option<u16>,
    /// HTTP status, if any was sent.
    pub http_status: Option<u16>,
    /// gRPC status.
    pub rpc: Option<RpcStatus>,
    /// `pkg.Service/Method` where the path does not name it: the call was translated behind the filter, or before it.
    pub rpc_method: Option<Vec<u8>>,
    /// `1.1`, `2`, `3`
    pub protocol_version: Option<Cow<'static, [u8]>>,
    /// The client as Envoy sees it, without port.
    pub client_address: Option<Vec<u8>>,
    /// Trace and span of the caller.
    pub trace: Option<Box<TraceContext>>,
    /// First URI SAN of the peer's certificate.
    pub peer_uri_san: Option<Vec<u8>>,
    /// Upstream cluster.
    pub upstream_cluster: Option<Vec<u8>>,
    /// Response flags in Envoy's short form, comma-separated.
    pub response_flags: Option<String>,
    /// Envoy's response code details.
    pub response_code_details: Option<Vec<u8>>,
    /// Decoded `grpc-message`, bounded.
    pub error_message: Option<Vec<u8>>,
    /// What the rule's allow-lists asked for, by attribute name, each value bounded.
    pub captured: Vec<(Rc<str>, Vec<u8>)>,
    /// Static attributes of the rule, where it has some.
    pub tags: Option<Rc<[(String, String)]>>,
}

impl ExchangeRecord {
    /// A record of nothing but what every exchange has. Inlined, since most fields are then overwritten.
    #[must_use]
    #[inline(always)]
    pub fn new(rule: Rc<str>, protocol: Protocol, outcome: Option<Outcome>) -> Self {
        Self {
            rule,
            action: Action::Text(Vec::new()),
            stage: if outcome.is_some() {
                Stage::Complete
            } else {
                Stage::Received
            },
            started_number: None,
            outcome,
            termination: Termination::Complete,
            immediate: false,
            protocol,
            dialect: Dialect::Grpc,
            start_unix_nanos: 0,
            duration: Duration::ZERO,
            context: None,
            header_conflict: false,
            session: Session::default(),
            session_event: None,
            identity: Identity::default(),
            correlation: None,
            request: RequestText::default(),
            route: None,
            port: None,
            http_status: None,
            rpc: None,
            rpc_method: None,
            protocol_version: None,
            client_address: None,
            trace: None,
            peer_uri_san: None,
            upstream_cluster: None,
            response_flags: None,
            response_code_details: None,
            error_message: None,
            captured: Vec::new(),
            tags: None,
        }
    }

    /// The text of its action.
    #[must_use]
    pub fn action(&self) -> &[u8] {
        self.action.of(&self.request)
    }
}

/// A gRPC status and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcStatus {
    /// `OK`, `PERMISSION_DENIED`, `CODE(17)`, ...
    pub name: Cow<'static, str>,
    /// Where it was found.
    pub source: StatusSource,
}

/// Identifiers of a valid `traceparent`, as lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// 16 bytes.
    pub trace_id: [u8; 32],
    /// 8 bytes.
    pub span_id: [u8; 16],
}

/// What a stream announces of itself, so that a store can bound what it cannot know of a stream that falls silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// While the audit cluster answers it is never silent for longer than twice this, in milliseconds; 0: it may be for ever.
    pub alive_interval_ms: u64,
    /// `buffer.max_records`: most records of exchanges that it holds unacknowledged.
    pub buffer_records: u64,
}

/// What a record tells.
#[derive(Clone, Debug)]
pub enum Event {
    /// An audited exchange.
    Exchange(Box<ExchangeRecord>),
    /// The stream of records begins.
    StreamStart(StreamLimits),
    /// The stream goes on, and has sent nothing else for a while.
    StreamAlive(StreamLimits),
    /// The stream ends; `next` is the number that the next record would have got.
    StreamEnd {
        /// One more than the last number.
        next: u64,
    },
    /// Records of this stream were lost.
    Loss(Loss),
}
