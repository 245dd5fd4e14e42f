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
use super::outcome::{answer, response_flags};
use super::rpc::{Dialect, Found};
use super::session::SessionEvent;
use crate::host::{Property, Stream};
use crate::record::{ExchangeRecord, Outcome, Protocol, Received, RpcStatus, Stage};
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
    let End {
        place,
        protocol,
        response,
        client_address,
        stream,
        clock,
    } = end;
    let Audited { subject, seen, .. } = audited;
    let outcome = ending.end(protocol)?.outcome;
    let evidence = &ending.evidence;
    let is_call = protocol == Protocol::Grpc;
    let dialect = if is_call {
        evidence.dialect()
    } else {
        Dialect::Grpc
    };
    let translated = evidence.translated.as_ref().filter(|_| is_call);
    let rpc_method = translated.and_then(|by| by.method.clone());
    let read = Read {
        place,
        protocol,
        dialect,
        rpc_method,
        http_status: evidence.http_status,
    };
    let mut record = of_request(subject, read, client_address, stream)?;
    let Candidate {
        rule,
        claims,
        captured,
        ..
    } = subject.candidates.get_mut(place)?;

    (record.start_unix_nanos, record.duration) = timing(subject.start, stream, clock);
    let (identity, conflict) =
        rule.identity
            .resolve(mem::take(claims), response, seen.body.as_deref(), stream);
    record.identity = identity;
    record.header_conflict |= conflict;
    rule.capture.of_response(response, captured);
    record.captured = mem::take(captured);

    record.session_event = rule.session.filter(|_| outcome == Outcome::Success);
    // A session that begins must not use the request's id, which belongs to an earlier session or
    // an attacker.
    if rule.session == Some(SessionEvent::Start)
        && (seen.begun.is_some() || record.session_event.is_some())
    {
        record.session.id = seen.begun.take();
    }

    let extra = rule.extra_fields;
    let is_unusual = outcome != Outcome::Success || evidence.is_local;
    if extra.response_flags || is_unusual && !evidence.completeness.is_direct_response(stream) {
        record.response_flags = response_flags::to_text(evidence.completeness.flags(stream));
    }
    if extra.response_code_details || is_unusual {
        record.response_code_details = evidence.completeness.details(stream).map(bounded);
    }
    if extra.upstream_cluster {
        record.upstream_cluster = stream
            .property(Property::UpstreamCluster)
            .map(|value| bounded(&value));
    }

    record.stage = Stage::Complete;
    record.started_number = subject.started_number;
    record.outcome = Some(outcome);
    record.termination = evidence.termination;
    record.immediate = rule.immediate_on.contains(&outcome);
    record.http_status = evidence.http_status;
    if is_call
        && let Some(Found {
            status,
            source,
            message,
        }) = ending.take_status()
    {
        record.rpc = Some(RpcStatus {
            name: status.name(),
            source,
        });
        record.error_message = message;
    }
    Some(record)
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
    let (place, protocol, dialect) = (
        subject.likely(),
        subject.claim.protocol(),
        subject.claim.dialect(),
    );

    // An upgrade counts as a tunnel once it is accepted.
    let is_open = stage == Stage::Started && subject.request.tunnel.is_some();
    let http_status = if is_open {
        answer::http_status(&Headers::parse(&stream.response_headers()))
    } else {
        None
    };
    let read = Read {
        place,
        protocol,
        dialect,
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

/// Moves the request state into a record.
fn of_request(
    subject: &mut Subject,
    Read {
        place,
        protocol,
        dialect,
        rpc_method,
        http_status,
    }: Read,
    client_address: Option<Vec<u8>>,
    stream: &dyn Stream,
) -> Option<Box<ExchangeRecord>> {
    let Subject {
        candidates,
        tracking,
        request,
        ..
    } = subject;
    let rule = &candidates.get(place)?.rule;
    request.tunnel = request
        .tunnel
        .take()
        .filter(|tunnel| tunnel.is_open(http_status));
    let action = action(
        rule,
        tracking.operation.take(),
        rpc_method.as_deref(),
        protocol,
        request,
    );
    let Request {
        text,
        tunnel,
        trace,
    } = request;
    let mut text = mem::take(text);
    if let Some(target) = tunnel.as_ref().and_then(Tunnel::target) {
        text = text.with_host(target);
    }
    let peer_uri_san = if rule.extra_fields.peer_uri_san {
        stream.property(Property::PeerUriSan)
    } else {
        None
    };

    Some(Box::new(ExchangeRecord {
        action,
        dialect: if protocol == Protocol::Grpc {
            dialect
        } else {
            Dialect::Grpc
        },
        rpc_method,
        context: tracking.context.take(),
        header_conflict: tracking.conflict,
        session: mem::take(&mut subject.session),
        correlation: subject.correlation,
        tags: (!rule.tags.is_empty()).then(|| Rc::clone(&rule.tags)),
        route: rule.route().map(str::to_owned),
        peer_uri_san: peer_uri_san.map(|value| bounded(&value)),
        port: tunnel.as_ref().and_then(|tunnel| tunnel.port),
        request: text,
        trace: trace.take(),
        protocol_version: subject.version.take(),
        client_address,
        ..ExchangeRecord::new(Rc::clone(&rule.name), protocol, None)
    }))
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
