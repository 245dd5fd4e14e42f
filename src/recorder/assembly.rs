//! Makes the record of an exchange, at its end or before.

use std::mem;
use std::rc::Rc;
use std::time::Duration;

use super::bounds::{MAX_NAME_BYTES, clipped};
use super::exchange::{Audited, Candidate, Subject};
use super::fields::Request;
use super::fields::action::action;
use super::fields::tunnel::Tunnel;
use super::headers::Headers;
use super::outcome::ending::Ending;
use super::outcome::evidence::Evidence;
use super::outcome::{answer, response_flags};
use super::rpc::Dialect;
use super::rules::Rule;
use super::session::{SessionEvent, SessionId};
use crate::host::{Property, Stream};
use crate::record::{ExchangeRecord, Outcome, Protocol, Received, RequestText, RpcStatus, Stage};
use crate::time::Now;

/// Inputs at the end of a stream.
pub(super) struct End<'e> {
    /// Index of the deciding candidate.
    pub(super) place: usize,
    /// The protocol by which the exchange is read.
    pub(super) protocol: Protocol,
    pub(super) response: &'e Headers<'e>,
    pub(super) client_address: Option<Vec<u8>>,
    pub(super) stream: &'e dyn Stream,
    pub(super) clock: &'e dyn Fn() -> Now,
}

/// Joins the request state with the end of the exchange. Makes only the host calls that this record
/// needs. The state is moved, not copied.
pub(super) fn record(
    audited: &mut Audited,
    ending: &mut Ending,
    end: End<'_>,
) -> Option<Box<ExchangeRecord>> {
    let outcome = ending.end(end.protocol)?.outcome;
    let Audited { subject, seen, .. } = audited;
    let read = Read::at_the_end(&end, &ending.evidence);
    let mut record = of_request(subject, read, end.client_address, end.stream)?;
    (record.start_unix_nanos, record.duration) = timing(subject.start, end.stream, end.clock);
    record.started_number = subject.started_number;

    let candidate = subject.candidates.get_mut(end.place)?;
    let rule = &candidate.rule;
    let body = seen.body.as_deref();
    let claims = mem::take(&mut candidate.claims);
    let (identity, conflict) = rule
        .identity
        .resolve(claims, end.response, body, end.stream);
    record.identity = identity;
    record.header_conflict |= conflict;
    rule.capture
        .of_response(end.response, &mut candidate.captured);
    record.captured = mem::take(&mut candidate.captured);

    add_session(&mut record, rule, outcome, &mut seen.begun);
    add_proxy_values(&mut record, rule, outcome, &ending.evidence, end.stream);
    add_end(&mut record, rule, outcome, ending);
    Some(record)
}

/// Adds what a rule makes of the session.
fn add_session(
    record: &mut ExchangeRecord,
    rule: &Rule,
    outcome: Outcome,
    begun: &mut Option<SessionId>,
) {
    record.session_event = rule.session.filter(|_| outcome == Outcome::Success);
    // A session that begins must not use the request's id, which belongs to an earlier session or
    // an attacker.
    if rule.session == Some(SessionEvent::Start)
        && (begun.is_some() || record.session_event.is_some())
    {
        record.session.id = begun.take();
    }
}

/// Adds the reasons that Envoy gives, and the cluster.
fn add_proxy_values(
    record: &mut ExchangeRecord,
    rule: &Rule,
    outcome: Outcome,
    evidence: &Evidence,
    stream: &dyn Stream,
) {
    let extra = rule.extra_fields;
    let completeness = &evidence.completeness;
    let is_unusual = outcome != Outcome::Success || evidence.is_local;
    if extra.response_flags || is_unusual && !completeness.is_direct_response(stream) {
        record.response_flags = response_flags::to_text(completeness.flags(stream));
    }
    if extra.response_code_details || is_unusual {
        record.response_code_details = completeness.details(stream).map(bounded);
    }

    if extra.upstream_cluster {
        record.upstream_cluster = stream
            .property(Property::UpstreamCluster)
            .map(|value| bounded(&value));
    }
}

/// Adds how the exchange ended.
fn add_end(record: &mut ExchangeRecord, rule: &Rule, outcome: Outcome, ending: &mut Ending) {
    record.stage = Stage::Complete;
    record.outcome = Some(outcome);
    record.termination = ending.evidence.termination;
    record.immediate = rule.immediate_on.contains(&outcome);
    record.http_status = ending.evidence.http_status;

    if record.protocol == Protocol::Grpc
        && let Some(found) = ending.take_status()
    {
        record.rpc = Some(RpcStatus {
            name: found.status.name(),
            source: found.source,
        });
        record.error_message = found.message;
    }
}

/// Bound of the bytes that the end adds to a record: names and values of outcome and status, flags
/// and details (256 bytes each, six per byte when escaped), the error message (512), and the id of
/// a new session.
const ENDING_BYTES: usize = 8192;
/// Bound for a value that only the response has, with its name: an identity field, a captured
/// header.
const RESPONSE_VALUE_BYTES: usize = 6 * MAX_NAME_BYTES + 256;

/// The record of an exchange before the request goes upstream.
pub(super) fn received(
    subject: &mut Subject,
    connection: Option<u64>,
    client_address: Option<Vec<u8>>,
    stream: &dyn Stream,
) -> Option<Received> {
    let counts = |candidate: &Candidate| {
        candidate.rule.identity.count_fields() + candidate.rule.capture.response_headers.len()
    };
    let values = subject
        .candidates
        .iter()
        .map(counts)
        .max()
        .unwrap_or_default();
    let record = before_the_end(subject, Stage::Received, client_address, stream)?;

    Some(Received {
        record,
        connection,
        most_ending_bytes: ENDING_BYTES + values * RESPONSE_VALUE_BYTES,
    })
}

/// The record of an exchange that has not ended.
pub(super) fn before_the_end(
    subject: &mut Subject,
    stage: Stage,
    client_address: Option<Vec<u8>>,
    stream: &dyn Stream,
) -> Option<Box<ExchangeRecord>> {
    let protocol = subject.claim.protocol();
    // An upgrade counts as a tunnel once it is accepted.
    let is_open = stage == Stage::Started && subject.request.tunnel.is_some();
    let http_status = if is_open {
        answer::http_status(&Headers::parse(&stream.response_headers()))
    } else {
        None
    };
    let place = subject.likely();
    let read = Read {
        place,
        protocol,
        dialect: if protocol == Protocol::Grpc {
            subject.claim.dialect()
        } else {
            Dialect::Grpc
        },
        rpc_method: None,
        http_status,
    };

    let mut record = of_request(subject, read, client_address, stream)?;
    let Candidate {
        rule,
        claims,
        captured,
        ..
    } = subject.candidates.get_mut(place)?;

    record.stage = stage;
    record.start_unix_nanos = subject.start.unwrap_or_default().unix_nanos;
    record.identity = rule.identity.resolve_received(mem::take(claims), stream);
    record.captured = mem::take(captured);
    Some(record)
}

/// The protocol and candidate by which the exchange is read.
struct Read {
    place: usize,
    protocol: Protocol,
    dialect: Dialect,
    rpc_method: Option<Vec<u8>>,
    http_status: Option<u16>,
}

impl Read {
    fn at_the_end(end: &End<'_>, evidence: &Evidence) -> Self {
        let is_call = end.protocol == Protocol::Grpc;
        let translated = evidence.translated.as_ref().filter(|_| is_call);
        Self {
            place: end.place,
            protocol: end.protocol,
            dialect: if is_call {
                evidence.dialect()
            } else {
                Dialect::Grpc
            },
            rpc_method: translated.and_then(|by| by.method.clone()),
            http_status: evidence.http_status,
        }
    }
}

/// Moves the request state into a record.
fn of_request(
    subject: &mut Subject,
    read: Read,
    client_address: Option<Vec<u8>>,
    stream: &dyn Stream,
) -> Option<Box<ExchangeRecord>> {
    let rule = &subject.candidates.get(read.place)?.rule;
    let (request, tracking) = (&mut subject.request, &mut subject.tracking);
    let is_open = |tunnel: &Tunnel| tunnel.is_open(read.http_status);
    request.tunnel = request.tunnel.take().filter(is_open);
    let (operation, method) = (tracking.operation.take(), read.rpc_method.as_deref());
    let action = action(rule, operation, method, read.protocol, request);
    let peer_uri_san = if rule.extra_fields.peer_uri_san {
        stream.property(Property::PeerUriSan)
    } else {
        None
    };

    // Filled in its box: a record is too large to be moved for nothing.
    let mut record = Box::new(ExchangeRecord::new(
        Rc::clone(&rule.name),
        read.protocol,
        None,
    ));
    record.action = action;
    record.dialect = read.dialect;
    record.rpc_method = read.rpc_method;
    record.context = tracking.context.take();
    record.header_conflict = tracking.conflict;
    record.session = mem::take(&mut subject.session);
    record.correlation = subject.correlation;
    record.tags = (!rule.tags.is_empty()).then(|| Rc::clone(&rule.tags));
    record.route = rule.route().map(str::to_owned);
    record.peer_uri_san = peer_uri_san.map(|value| bounded(&value));
    record.port = request.tunnel.as_ref().and_then(|tunnel| tunnel.port);
    record.request = recorded_text(request);
    record.trace = request.trace.take();
    record.protocol_version = subject.version.take();
    record.client_address = client_address;
    Some(record)
}

/// Takes the texts of a request. The target of a tunnel is its host.
fn recorded_text(request: &mut Request) -> RequestText {
    let text = mem::take(&mut request.text);
    match request.tunnel.as_ref().and_then(Tunnel::target) {
        Some(target) => text.with_host(target),
        None => text,
    }
}

/// Proxy values are not under the client's control, but have no length limit.
fn bounded(value: &[u8]) -> Vec<u8> {
    clipped(value, MAX_NAME_BYTES).to_vec()
}

/// Start and duration from the clocks; from Envoy if the filter did not see the start.
fn timing(start: Option<Now>, stream: &dyn Stream, clock: &dyn Fn() -> Now) -> (u64, Duration) {
    if let Some(start) = start {
        return (
            start.unix_nanos,
            clock().uptime.saturating_sub(start.uptime),
        );
    }

    let begun = stream
        .number(Property::RequestTime)
        .unwrap_or_else(|| clock().unix_nanos);

    (
        begun,
        Duration::from_nanos(stream.number(Property::RequestDuration).unwrap_or_default()),
    )
}
