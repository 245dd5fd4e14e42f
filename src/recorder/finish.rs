//! The end of an exchange: how it ended, and the record that is made of it.

use std::borrow::Cow;
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use super::exchange::{Audited, MAX_NAME_BYTES, Request};
use super::grpc::{self, Status, StatusSource};
use super::headers::Headers;
use super::response_json::Body;
use super::session::SessionEvent;
use super::tracking::clipped;
use super::wholeness::Wholeness;
use super::{flags, outcome};
use crate::host::{Property, Stream};
use crate::record::{ExchangeRecord, Outcome, Protocol, Received, RpcStatus};
use crate::time::Now;

/// How an exchange ended, before it is known whether a record is wanted.
pub(super) struct Ending {
    pub(super) outcome: Outcome,
    pub(super) http_status: Option<u16>,
    rpc: Option<(Status, StatusSource)>,
    wholeness: Wholeness,
}

impl Ending {
    pub(super) fn read(audited: &Audited, response: &Headers<'_>, stream: &dyn Stream) -> Self {
        let (http_status, wholeness) = (status(response), Wholeness::default());
        // An answer that an earlier filter made was sent before this one heard of the request.
        let is_unseen = audited.start.is_none();
        let is_whole = || http_status.is_some_and(|status| is_unseen || wholeness.is_whole(status, stream));
        if audited.request.protocol == Protocol::Http {
            return Self { outcome: outcome::of_http(http_status, is_whole()), http_status, rpc: None, wholeness };
        }
        let (status, source) = rpc_status(response, stream, http_status, is_whole);
        Self { outcome: outcome::of_grpc(status, source), http_status, rpc: Some((status, source)), wholeness }
    }

    /// Whether the response came to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.outcome != Outcome::Aborted
    }
}

/// The status among the headers of a response.
pub(super) fn status(headers: &Headers<'_>) -> Option<u16> {
    std::str::from_utf8(headers.first(":status")?).ok()?.parse().ok()
}

/// Trailers, else headers, else what a client makes of the HTTP status; a broken-off stream has none.
fn rpc_status(
    response: &Headers<'_>,
    stream: &dyn Stream,
    http_status: Option<u16>,
    is_whole: impl FnOnce() -> bool,
) -> (Status, StatusSource) {
    if let Some(value) = stream.response_trailer("grpc-status") {
        return (Status::parse(&value), StatusSource::Trailers);
    }
    if let Some(value) = response.first("grpc-status") {
        return (Status::parse(value), StatusSource::Headers);
    }
    match http_status {
        Some(status) if status != 200 || is_whole() => (Status::from_http(status), StatusSource::Http),
        _ => (Status::MISSING, StatusSource::Reset),
    }
}

/// What is recorded of the other end of the connection.
pub(super) struct Peer {
    pub(super) protocol_version: Option<Cow<'static, [u8]>>,
    pub(super) client_address: Option<Vec<u8>>,
}

/// What is at hand when a stream has ended.
pub(super) struct End<'e> {
    pub(super) response: &'e Headers<'e>,
    pub(super) body: Option<&'e Body>,
    pub(super) peer: Peer,
    pub(super) stream: &'e dyn Stream,
    pub(super) clock: &'e dyn Fn() -> Now,
}

/// Joins what was kept of the request with how it ended; asks the host only for what this record needs.
pub(super) fn record(mut audited: Audited, ending: Ending, end: End<'_>) -> ExchangeRecord {
    let End { response, body, peer, stream, clock } = end;
    let (start_unix_nanos, duration) = timing(audited.start, stream, clock);
    let identity = audited.rule.identity.resolve(mem::take(&mut audited.claims), response, body, stream);
    audited.rule.capture.of_response(response, &mut audited.captured);
    let session_event = audited.rule.session.filter(|_| ending.outcome == Outcome::Success);
    // A session that begins has not the id of the request: that is an earlier session's, or chosen by an attacker.
    if audited.begun.is_some() || session_event == Some(SessionEvent::Start) {
        audited.session.id = audited.begun.take();
    }
    let extra = audited.rule.extra_fields;
    let unusual = ending.outcome != Outcome::Success;
    let when = |wanted: bool, property: Property| wanted.then(|| stream.property(property)).flatten();
    ExchangeRecord {
        outcome: Some(ending.outcome),
        immediate: audited.rule.immediate_on.contains(&ending.outcome),
        duration,
        identity,
        session_event,
        http_status: ending.http_status,
        error_message: ending.rpc.and_then(|(_, source)| error_message(source, response, stream)),
        rpc: ending.rpc.map(|(status, source)| RpcStatus { name: status.name(), source }),
        upstream_cluster: when(extra.upstream_cluster, Property::UpstreamCluster).map(|value| bounded(&value)),
        response_flags: (unusual || extra.response_flags)
            .then(|| flags::to_text(ending.wholeness.flags(stream)))
            .flatten(),
        response_code_details: (unusual || extra.response_code_details)
            .then(|| ending.wholeness.details(stream).map(bounded))
            .flatten(),
        ..of_request(audited, start_unix_nanos, peer, stream)
    }
}

/// Room for what every end adds to a record: names and values of the outcome, of the status, of flags and details (256
/// bytes each, every byte six when escaped), the error message (512), and the id of a session that begins.
const ENDING_BYTES: usize = 8192;
/// Room for a value that only the response has, and its name: a field of the identity, a captured header.
const RESPONSE_VALUE_BYTES: usize = 6 * MAX_NAME_BYTES + 256;

/// What is known of an exchange before the request goes upstream. Immediate when the record of its end surely is.
pub(super) fn received(audited: Audited, peer: Peer, stream: &dyn Stream) -> Received {
    let rule = &audited.rule;
    let values = rule.identity.count_fields() + rule.capture.response_headers.len();
    let most_ending_bytes = ENDING_BYTES + values * RESPONSE_VALUE_BYTES;
    Received { record: Box::new(receipt(audited, peer, stream)), most_ending_bytes }
}

fn receipt(mut audited: Audited, peer: Peer, stream: &dyn Stream) -> ExchangeRecord {
    let start_unix_nanos = audited.start.unwrap_or_default().unix_nanos;
    let identity = audited.rule.identity.resolve_received(mem::take(&mut audited.claims), stream);
    let immediate = audited.rule.is_always_immediate();
    ExchangeRecord { identity, immediate, ..of_request(audited, start_unix_nanos, peer, stream) }
}

fn of_request(audited: Audited, start_unix_nanos: u64, peer: Peer, stream: &dyn Stream) -> ExchangeRecord {
    let Audited { rule, tracking, request, session, captured, correlation, .. } = audited;
    let peer_uri_san = rule.extra_fields.peer_uri_san;
    ExchangeRecord {
        action: action(rule.action.as_deref(), rule.route(), tracking.operation, &request),
        start_unix_nanos,
        context: tracking.context,
        header_conflict: tracking.conflict,
        session,
        correlation,
        captured,
        method: request.method,
        path: request.path,
        route: rule.route().map(str::to_owned),
        host: request.host,
        protocol_version: peer.protocol_version,
        user_agent: request.user_agent,
        client_address: peer.client_address,
        request_id: request.request_id,
        trace: request.trace,
        peer_uri_san: peer_uri_san
            .then(|| stream.property(Property::PeerUriSan))
            .flatten()
            .map(|value| bounded(&value)),
        tags: Rc::clone(&rule.tags),
        ..ExchangeRecord::new(Rc::clone(&rule.name), request.protocol, None)
    }
}

/// What the proxy tells is not the client's, but nothing says how long it may be.
fn bounded(value: &[u8]) -> Vec<u8> {
    clipped(value, MAX_NAME_BYTES).to_vec()
}

/// Start and duration by the clocks; from Envoy where the filter did not see the request begin.
fn timing(start: Option<Now>, stream: &dyn Stream, clock: &dyn Fn() -> Now) -> (u64, Duration) {
    if let Some(start) = start {
        return (start.unix_nanos, clock().uptime.saturating_sub(start.uptime));
    }
    let begun = stream.number(Property::RequestTime).unwrap_or_else(|| clock().unix_nanos);
    (begun, Duration::from_nanos(stream.number(Property::RequestDuration).unwrap_or_default()))
}

/// The rule's action, else the trusted operation label, else the gRPC full method, else `METHOD /path`.
fn action(fixed: Option<&str>, route: Option<&str>, operation: Option<Vec<u8>>, request: &Request) -> Vec<u8> {
    let derived = || match request.protocol {
        Protocol::Grpc => request.path.clone(),
        Protocol::Http => {
            [request.method.as_slice(), b" ", route.map_or(request.path.as_slice(), str::as_bytes)].concat()
        }
    };
    fixed.map(|text| text.as_bytes().to_vec()).or(operation).unwrap_or_else(derived)
}

fn error_message(source: StatusSource, response: &Headers<'_>, stream: &dyn Stream) -> Option<Vec<u8>> {
    let decoded = |value: &[u8]| (!value.is_empty()).then(|| grpc::decode_message(value));
    match source {
        StatusSource::Trailers => decoded(&stream.response_trailer("grpc-message")?),
        StatusSource::Headers => decoded(response.first("grpc-message")?),
        StatusSource::Http | StatusSource::Reset => None,
    }
}
