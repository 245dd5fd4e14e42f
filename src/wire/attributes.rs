//! Which attributes a record has, under which names: one list for both formats.
//!
//! Names follow the OpenTelemetry semantic conventions where they have one (registry of 2026-08, `rpc.*` as release
//! candidate); the rest is `audit.*`.

use super::Numbered;
use super::sink::{Sink, name};
use crate::json::Writer;
use crate::record::{Event, ExchangeRecord, Loss, Outcome, Protocol, RpcStatus};
use crate::recorder::identity::Identity;
use crate::recorder::rpc::Dialect;
use crate::recorder::session::SessionId;
use crate::recorder::tracking::Context;

/// The event's name.
pub(super) fn event_name(event: &Event) -> &'static str {
    match event {
        Event::Exchange(exchange) if exchange.protocol == Protocol::Grpc => "audit.rpc",
        Event::Exchange(_) => "audit.http",
        Event::StreamStart => "audit.stream.start",
        Event::StreamEnd { .. } => "audit.stream.end",
        Event::Loss(_) => "audit.loss",
    }
}

/// OpenTelemetry severity numbers: 9 info, 13 warn, 17 error.
pub(super) fn severity(event: &Event) -> u64 {
    match event {
        Event::Exchange(exchange) => match exchange.outcome {
            None | Some(Outcome::Success) => 9,
            Some(Outcome::Denied | Outcome::Aborted) => 13,
            Some(Outcome::Failure) if is_of_client(exchange) => 13,
            Some(Outcome::Failure) => 17,
        },
        Event::Loss(_) => 17,
        Event::StreamStart | Event::StreamEnd { .. } => 9,
    }
}

/// Codes of failures that a client causes: those that make no error of a server's span (OpenTelemetry semantic
/// conventions, "gRPC").
const CLIENT_CODES: [&str; 8] = [
    "CANCELLED",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
];

/// Whether a client can cause such a failure as often as it likes, so that it is no error of the server's.
fn is_of_client(exchange: &ExchangeRecord) -> bool {
    let is_code = |rpc: &RpcStatus| CLIENT_CODES.contains(&&*rpc.name);
    exchange.http_status.is_some_and(|status| (400..500).contains(&status))
        || exchange.rpc.as_ref().is_some_and(is_code)
}

/// `<action> <outcome>`, `<action> <stage>` before there is one, or the event's name: written inside a string.
pub(super) fn push_body(event: &Event, out: &mut Writer) {
    match event {
        Event::Exchange(exchange) => {
            out.push_inside(&exchange.action);
            out.push(b' ');
            out.push_str(exchange.outcome.map_or(exchange.stage.as_str(), Outcome::as_str));
        }
        _ => out.push_str(event_name(event)),
    }
}

/// Lists all attributes of a record.
pub(super) fn list(record: &Numbered<'_>, sink: &mut Sink<'_>) {
    sink.uuid(name!(text "log.record.uid"), "aud_", record.uid);
    sink.int(name!(int "audit.sequence.number"), record.number);
    match record.event {
        Event::Exchange(exchange) => list_exchange(exchange, sink),
        Event::StreamStart => {}
        Event::StreamEnd { next } => sink.int(name!(int "audit.sequence.next"), *next),
        Event::Loss(loss) => list_loss(loss, sink),
    }
}

fn list_loss(loss: &Loss, sink: &mut Sink<'_>) {
    sink.word(name!(text "audit.loss.reason"), loss.reason.as_str());
    sink.int(name!(int "audit.loss.count"), loss.count);
    sink.int(name!(int "audit.loss.first_number"), loss.first);
    sink.int(name!(int "audit.loss.last_number"), loss.last);
}

fn list_exchange(exchange: &ExchangeRecord, sink: &mut Sink<'_>) {
    sink.word(name!(text "audit.rule"), &exchange.rule);
    sink.text(name!(text "audit.action"), &exchange.action);
    if let Some(outcome) = exchange.outcome {
        sink.word(name!(text "audit.outcome"), outcome.as_str());
    }
    sink.word(name!(text "audit.stage"), exchange.stage.as_str());
    if exchange.outcome.is_some() {
        sink.millis(name!(millis "audit.duration_ms"), exchange.duration);
    }
    if let Some(termination) = exchange.termination.as_str() {
        sink.word(name!(text "audit.termination"), termination);
    }
    if let Some(number) = exchange.started_number {
        sink.int(name!(int "audit.started.number"), number);
    }
    if exchange.immediate {
        sink.word(name!(text "audit.priority"), "immediate");
    }
    list_context(exchange, sink);
    list_session(exchange, sink);
    list_identity(&exchange.identity, sink);
    list_request(exchange, sink);
    list_response(exchange, sink);
    for (name, value) in &exchange.captured {
        sink.named("", name, value);
    }
    for (name, value) in exchange.tags.iter() {
        sink.named("audit.tag.", name, value.as_bytes());
    }
}

fn list_context(exchange: &ExchangeRecord, sink: &mut Sink<'_>) {
    match &exchange.context {
        None => {}
        Some(Context::Whole(context)) => sink.text(name!(text "audit.session.context"), context),
        Some(Context::Hashed { sha256, length }) => {
            sink.text(name!(text "audit.session.context"), ["sha256:", sha256].concat().as_bytes());
            sink.flag(name!(flag "audit.session.context_hashed"), true);
            sink.int(name!(int "audit.session.context_length"), *length as u64);
        }
    }
    if exchange.header_conflict {
        sink.flag(name!(flag "audit.header_conflict"), true);
    }
}

fn list_session(exchange: &ExchangeRecord, sink: &mut Sink<'_>) {
    match &exchange.session.id {
        None => {}
        Some(SessionId::Whole(id)) => sink.text(name!(text "session.id"), id),
        Some(SessionId::Hashed(hash)) => {
            sink.word(name!(text "session.id"), hash);
            sink.flag(name!(flag "audit.session.id_hashed"), true);
        }
    }
    sink.optional(name!(text "session.token_ref"), exchange.session.token_ref.as_deref().map(str::as_bytes));
    if let Some(event) = exchange.session_event {
        sink.word(name!(text "audit.session.event"), event.as_str());
    }
    if exchange.session.is_basic {
        sink.word(name!(text "audit.auth"), "basic");
    }
    if let Some(pair) = exchange.correlation {
        sink.uuid(name!(text "audit.correlation.session_id"), "", pair.session_id);
        sink.int(name!(int "audit.correlation.number"), u64::from(pair.number));
    }
}

fn list_identity(identity: &Identity, sink: &mut Sink<'_>) {
    sink.optional(name!(text "user.id"), identity.user_id.as_deref());
    sink.optional(name!(text "user.name"), identity.user_name.as_deref());
    sink.optional(name!(text "user.email"), identity.user_email.as_deref());
    sink.optional(name!(text "audit.identity.source"), identity.source.as_deref().map(str::as_bytes));
}

fn list_request(exchange: &ExchangeRecord, sink: &mut Sink<'_>) {
    sink.present(name!(text "http.request.method"), &exchange.method);
    sink.present(name!(text "url.path"), &exchange.path);
    sink.optional(name!(text "http.route"), exchange.route.as_deref().map(str::as_bytes));
    sink.present(name!(text "server.address"), &exchange.host);
    if let Some(port) = exchange.port {
        sink.int(name!(int "server.port"), u64::from(port));
    }
    sink.optional(name!(text "network.protocol.version"), exchange.protocol_version.as_deref());
    sink.optional(name!(text "user_agent.original"), exchange.user_agent.as_deref());
    sink.optional(name!(text "client.address"), exchange.client_address.as_deref());
    sink.optional(name!(text "audit.peer.uri_san"), exchange.peer_uri_san.as_deref());
    sink.optional(name!(text "audit.request_id"), exchange.request_id.as_deref());
}

fn list_response(exchange: &ExchangeRecord, sink: &mut Sink<'_>) {
    if let Some(status) = exchange.http_status {
        sink.int(name!(int "http.response.status_code"), u64::from(status));
    }
    if exchange.protocol == Protocol::Grpc {
        sink.word(name!(text "rpc.system.name"), "grpc");
        let of_path = || exchange.path.strip_prefix(b"/").unwrap_or(&exchange.path);
        sink.present(name!(text "rpc.method"), exchange.rpc_method.as_deref().unwrap_or_else(of_path));
        if exchange.dialect != Dialect::Grpc {
            sink.word(name!(text "audit.rpc.dialect"), exchange.dialect.as_str());
        }
    }
    if let Some(rpc) = &exchange.rpc {
        sink.word(name!(text "rpc.response.status_code"), &rpc.name);
        sink.word(name!(text "audit.rpc.status_source"), rpc.source.as_str());
    }
    sink.optional(name!(text "audit.upstream.cluster"), exchange.upstream_cluster.as_deref());
    sink.optional(name!(text "audit.response.flags"), exchange.response_flags.as_deref().map(str::as_bytes));
    sink.optional(name!(text "audit.response.code_details"), exchange.response_code_details.as_deref());
    sink.optional(name!(text "error.message"), exchange.error_message.as_deref());
}
