//! The end of an exchange: how it ended, and the record that is made of it.

use std::rc::Rc;
use std::time::Duration;

use super::exchange::{Audited, Request};
use super::grpc::{self, Status, StatusSource};
use super::trust::address_without_port;
use super::{flags, outcome};
use crate::host::{Property, Stream};
use crate::record::{ExchangeRecord, Outcome, Protocol, RpcStatus};
use crate::time::Now;

/// How an exchange ended, before it is known whether a record is wanted.
pub(super) struct Ending {
    pub(super) outcome: Outcome,
    pub(super) http_status: Option<u16>,
    rpc: Option<(Status, StatusSource)>,
}

impl Ending {
    pub(super) fn read(audited: &Audited, complete: bool, stream: &dyn Stream) -> Self {
        let http_status = http_status(stream);
        if audited.request.protocol == Protocol::Http {
            return Self { outcome: outcome::of_http(http_status, complete), http_status, rpc: None };
        }
        let (status, source) = rpc_status(stream, http_status, complete);
        Self { outcome: outcome::of_grpc(status, source), http_status, rpc: Some((status, source)) }
    }
}

fn http_status(stream: &dyn Stream) -> Option<u16> {
    std::str::from_utf8(&stream.response_header(":status")?).ok()?.parse().ok()
}

/// Trailers, else headers, else what a client makes of the HTTP status; a broken-off stream has none.
fn rpc_status(stream: &dyn Stream, http_status: Option<u16>, complete: bool) -> (Status, StatusSource) {
    if let Some(value) = stream.response_trailer("grpc-status") {
        return (Status::parse(&value), StatusSource::Trailers);
    }
    if let Some(value) = stream.response_header("grpc-status") {
        return (Status::parse(&value), StatusSource::Headers);
    }
    match http_status {
        Some(status) if complete || status != 200 => (Status::from_http(status), StatusSource::Http),
        _ => (Status::MISSING, StatusSource::Reset),
    }
}

/// Joins what was kept of the request with how it ended; asks the host only for what this record needs.
pub(super) fn record(
    audited: Audited,
    ending: Ending,
    stream: &dyn Stream,
    clock: impl FnOnce() -> Now,
) -> ExchangeRecord {
    let (start_unix_nanos, duration) = timing(audited.start, stream, clock);
    let Audited { rule, tracking, request, .. } = audited;
    let extra = rule.extra_fields;
    let unusual = ending.outcome != Outcome::Success;
    let when = |wanted: bool, property: Property| wanted.then(|| stream.property(property)).flatten();
    ExchangeRecord {
        action: action(rule.action.as_deref(), rule.route(), tracking.operation, &request),
        rule: Rc::clone(&rule.name),
        outcome: ending.outcome,
        protocol: request.protocol,
        start_unix_nanos,
        duration,
        context: tracking.context,
        header_conflict: tracking.conflict,
        method: request.method,
        path: request.path,
        route: rule.route().map(str::to_owned),
        host: request.host,
        http_status: ending.http_status,
        error_message: ending.rpc.and_then(|(_, source)| error_message(source, stream)),
        rpc: ending.rpc.map(|(status, source)| RpcStatus { name: status.name(), source }),
        protocol_version: stream.property(Property::Protocol).map(version),
        user_agent: request.user_agent,
        client_address: stream.property(Property::SourceAddress).map(|source| address_without_port(&source).to_vec()),
        request_id: request.request_id,
        trace: request.trace,
        peer_uri_san: when(extra.peer_uri_san, Property::PeerUriSan),
        upstream_cluster: when(extra.upstream_cluster, Property::UpstreamCluster),
        response_flags: (unusual || extra.response_flags)
            .then(|| stream.number(Property::ResponseFlags).and_then(flags::to_text))
            .flatten(),
        response_code_details: when(unusual || extra.response_code_details, Property::ResponseCodeDetails),
        tags: Rc::clone(&rule.tags),
    }
}

/// Start and duration by the clocks; from Envoy where the filter did not see the request begin.
fn timing(start: Option<Now>, stream: &dyn Stream, clock: impl FnOnce() -> Now) -> (u64, Duration) {
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

fn error_message(source: StatusSource, stream: &dyn Stream) -> Option<Vec<u8>> {
    let value = match source {
        StatusSource::Trailers => stream.response_trailer("grpc-message"),
        StatusSource::Headers => stream.response_header("grpc-message"),
        StatusSource::Http | StatusSource::Reset => None,
    }?;
    (!value.is_empty()).then(|| grpc::decode_message(&value))
}

/// `HTTP/1.1` as `1.1`, which is what `network.protocol.version` holds.
fn version(mut protocol: Vec<u8>) -> Vec<u8> {
    const PREFIX: &[u8] = b"HTTP/";
    if protocol.starts_with(PREFIX) {
        protocol.drain(..PREFIX.len());
    }
    protocol
}
