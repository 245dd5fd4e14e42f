//! A record: one audited exchange, or one event of the filter itself. Complete, but not yet
//! encoded.

mod ending;
mod loss;
mod request;
mod values;

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

pub use ending::{Outcome, Stage, Termination};
pub use loss::{Loss, LossReason};
pub use request::{Action, RequestParts, RequestText};
pub use values::{
    Context, Correlation, Dialect, Identity, Session, SessionEvent, SessionId, StatusSource,
};

/// How an exchange is read. The protocol of the server's response decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Anything that is not gRPC.
    Http,
    /// gRPC in any [`Dialect`].
    Grpc,
}

impl Protocol {
    /// The one that this is not.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Http => Self::Grpc,
            Self::Grpc => Self::Http,
        }
    }
}

/// What a rule requires before a request may go upstream, from weakest to strictest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequireAudit {
    /// Nothing: audit failures never affect the request.
    #[default]
    None,
    /// A buffer reservation for its record.
    Buffered,
    /// Also an acknowledgement by the audit cluster of a record that the request was received.
    Acknowledged,
}

/// The record of a request before it goes upstream, and what its reservation needs.
#[derive(Debug)]
pub struct Received {
    /// Its record, without an outcome.
    pub record: Box<ExchangeRecord>,
    /// Number of the client's connection; `None` where the host provides none.
    pub connection: Option<u64>,
    /// Upper bound in bytes by which the encoded record at the end can be longer.
    pub most_ending_bytes: usize,
}

/// Everything recorded of one exchange. Bytes are as received; the wire encoding makes them valid
/// UTF-8.
#[derive(Clone, Debug)]
pub struct ExchangeRecord {
    /// Name of the rule that matched.
    pub rule: Rc<str>,
    /// The recorded action.
    pub action: Action,
    /// Which part of the exchange this is.
    pub stage: Stage,
    /// Number of the "started" record of this exchange, if there is one.
    pub started_number: Option<u64>,
    /// What the server did; `None` before the end.
    pub outcome: Option<Outcome>,
    /// How the stream ended.
    pub termination: Termination,
    /// Sent without waiting for a batch timer: `audit.priority`.
    pub immediate: bool,
    /// HTTP or gRPC.
    pub protocol: Protocol,
    /// RPC protocol of the client.
    pub dialect: Dialect,
    /// Start of the request, nanoseconds since the Unix epoch.
    pub start_unix_nanos: u64,
    /// From request headers to the end of the stream.
    pub duration: Duration,
    /// Session context of a tracked request.
    pub context: Option<Context>,
    /// A control header came with more than one distinct value.
    pub header_conflict: bool,
    /// Session id, token reference, kind of authentication.
    pub session: Session,
    /// Session event that the rule names.
    pub session_event: Option<SessionEvent>,
    /// The user.
    pub identity: Identity,
    /// Correlation pair sent upstream.
    pub correlation: Option<Correlation>,
    /// Texts taken from the request.
    pub request: RequestText,
    /// Path template of the rule.
    pub route: Option<String>,
    /// Port of a tunnel's target.
    pub port: Option<u16>,
    /// HTTP status, if any was sent.
    pub http_status: Option<u16>,
    /// gRPC status.
    pub rpc: Option<RpcStatus>,
    /// `pkg.Service/Method`, if the path does not name it because another filter translated the
    /// call.
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
    /// Values captured by the rule's allow-lists, by attribute name, each bounded.
    pub captured: Vec<(Rc<str>, Vec<u8>)>,
    /// Static attributes of the rule.
    pub tags: Option<Rc<[(String, String)]>>,
}

impl ExchangeRecord {
    /// A record with only the fields that every exchange has. Inlined, since the caller overwrites
    /// most fields.
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

/// Limits that a stream announces. A store uses them to bound the losses of a stream that stops
/// sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// While the audit cluster acknowledges, the longest gap between sends is twice this, in
    /// milliseconds. 0: no bound.
    pub alive_interval_ms: u64,
    /// `buffer.max_records`: upper bound of its unacknowledged records of exchanges.
    pub buffer_records: u64,
}

/// The content of a record.
#[derive(Clone, Debug)]
pub enum Event {
    /// An audited exchange.
    Exchange(Box<ExchangeRecord>),
    /// The stream of records begins.
    StreamStart(StreamLimits),
    /// The stream continues and has sent nothing else for a while.
    StreamAlive(StreamLimits),
    /// The stream ends.
    StreamEnd {
        /// Next unused sequence number: one more than the last.
        next: u64,
    },
    /// Records of this stream were lost.
    Loss(Loss),
}
