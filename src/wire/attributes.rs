//! The attributes of a record and their names; one list for all formats.
//!
//! Names follow the OpenTelemetry semantic conventions where they exist (registry of 2026-08,
//! `rpc.*` as release candidate); the others are `audit.*`.

use super::Numbered;
use super::name::name;
use super::sink::Sink;
use crate::record::{
    Context, Dialect, Event, ExchangeRecord, Identity, Loss, Outcome, Protocol, RpcStatus,
    SessionId, StreamLimits,
};

/// The event's name.
pub(super) fn event_name(event: &Event) -> &'static str {
    match event {
        Event::Exchange(exchange) if exchange.protocol == Protocol::Grpc => "audit.rpc",
        Event::Exchange(_) => "audit.http",
        Event::StreamStart(_) => "audit.stream.start",
        Event::StreamAlive(_) => "audit.stream.alive",
        Event::StreamEnd { .. } => "audit.stream.end",
        Event::Loss(_) => "audit.loss",
    }
}

/// How serious an event is: the first severity of a range of the OpenTelemetry logs data model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Info,
    Warn,
    Error,
}

impl Severity {
    /// `severityNumber`
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Info => 9,
            Self::Warn => 13,
            Self::Error => 17,
        }
    }

    /// `severityText`, the short name of the number in the data model.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// The severity of an event. What a client can cause at will is no error.
pub(super) fn severity(event: &Event) -> Severity {
    match event {
        Event::Exchange(exchange) => match exchange.outcome {
            None | Some(Outcome::Success) => Severity::Info,
            Some(Outcome::Denied | Outcome::Aborted) => Severity::Warn,
            Some(Outcome::Failure) if is_of_client(exchange) => Severity::Warn,
            Some(Outcome::Failure) => Severity::Error,
        },
        Event::Loss(_) => Severity::Error,
        Event::StreamStart(_) | Event::StreamAlive(_) | Event::StreamEnd { .. } => Severity::Info,
    }
}

/// Codes of failures caused by the client: they do not make a server span an error (OpenTelemetry
/// semantic conventions, "gRPC").
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

/// Whether a client can cause this failure at will, so that it does not count as a server error.
fn is_of_client(exchange: &ExchangeRecord) -> bool {
    let is_code = |rpc: &RpcStatus| CLIENT_CODES.contains(&&*rpc.name);
    exchange
        .http_status
        .is_some_and(|status| (400..500).contains(&status))
        || exchange.rpc.as_ref().is_some_and(is_code)
}

/// `<action> <outcome>`, or `<action> <stage>` before there is an outcome, or the event name. The
/// action is raw bytes; the rest follows it.
pub(super) fn body(event: &Event) -> [&[u8]; 3] {
    match event {
        Event::Exchange(exchange) => {
            let word = exchange
                .outcome
                .map_or(exchange.stage.as_str(), Outcome::as_str);
            [exchange.action(), b" ", word.as_bytes()]
        }
        _ => [b"", b"", event_name(event).as_bytes()],
    }
}

/// Lists all attributes of a record.
pub(super) fn list(record: &Numbered<'_>, sink: &mut Sink<'_>) {
    sink.uuid(name!("log.record.uid"), "aud_", record.uid);
    sink.int(name!("audit.sequence.number"), record.number);

    match record.event {
        Event::Exchange(exchange) => list_exchange(exchange, sink),
        Event::StreamStart(limits) | Event::StreamAlive(limits) => list_limits(limits, sink),
        // In a flat object the attribute name is already used by the batch, which has at least this
        // number.
        Event::StreamEnd { .. } if sink.is_flat() => {}
        Event::StreamEnd { next } => sink.int(name!("audit.sequence.next"), *next),
        Event::Loss(loss) => list_loss(loss, sink),
    }
}

fn list_limits(limits: &StreamLimits, sink: &mut Sink<'_>) {
    sink.int(
        name!("audit.stream.alive_interval_ms"),
        limits.alive_interval_ms,
    );
    sink.int(name!("audit.buffer.max_records"), limits.buffer_records);
}

fn list_loss(loss: &Loss, sink: &mut Sink<'_>) {
    sink.word(name!("audit.loss.reason"), loss.reason.as_str());
    sink.int(name!("audit.loss.count"), loss.count);
    sink.int(name!("audit.loss.first_number"), loss.first);
    sink.int(name!("audit.loss.last_number"), loss.last);
}

fn list_exchange(exchange: &ExchangeRecord, sink: &mut Sink<'_>) {
    sink.word(name!("audit.rule"), &exchange.rule);
    sink.text(name!("audit.action"), exchange.action());
    if let Some(outcome) = exchange.outcome {
        sink.word(name!("audit.outcome"), outcome.as_str());
    }

    sink.word(name!("audit.stage"), exchange.stage.as_str());
    if exchange.outcome.is_some() {
        sink.millis(name!("audit.duration_ms"), exchange.duration);
    }

    if let Some(termination) = exchange.termination.as_str() {
        sink.word(name!("audit.termination"), termination);
    }

    if let Some(number) = exchange.started_number {
        sink.int(name!("audit.started.number"), number);
    }
    if exchange.immediate {
        sink.word(name!("audit.priority"), "immediate");
    }

    list_context(exchange, sink);
    list_session(exchange, sink);
    list_identity(&exchange.identity, sink);
    list_request(exchange, sink);
    list_response(exchange, sink);
    for (name, value) in &exchange.captured {
        sink.named("", name, value);
    }
    for (name, value) in exchange.tags.iter().flat_map(|tags| tags.iter()) {
        sink.named("audit.tag.", name, value.as_bytes());
    }
}

fn list_context(exchange: &ExchangeRecord, sink: &mut Sink<'_>) {
    match &exchange.context {
        None => {}
        Some(Context::Whole(context)) => sink.text(name!("audit.session.context"), context),
        Some(Context::Hashed { sha256, length }) => {
            sink.text(
                name!("audit.session.context"),
                ["sha256:", sha256].concat().as_bytes(),
            );
            sink.flag(name!("audit.session.context_hashed"), true);
            sink.int(name!("audit.session.context_length"), *length as u64);
        }
    }

    if exchange.header_conflict {
        sink.flag(name!("audit.header_conflict"), true);
    }
}

fn list_session(exchange: &ExchangeRecord, sink: &mut Sink<'_>) {
    match &exchange.session.id {
        None => {}
        Some(SessionId::Whole(id)) => sink.text(name!("session.id"), id),
        Some(SessionId::Hashed(hash)) => {
            sink.word(name!("session.id"), hash);
            sink.flag(name!("audit.session.id_hashed"), true);
        }
    }

    sink.optional(
        name!("session.token_ref"),
        exchange.session.token_ref.as_deref().map(str::as_bytes),
    );

    if let Some(event) = exchange.session_event {
        sink.word(name!("audit.session.event"), event.as_str());
    }

    if exchange.session.is_basic {
        sink.word(name!("audit.auth"), "basic");
    }

    if let Some(pair) = exchange.correlation {
        sink.uuid(name!("audit.correlation.session_id"), "", pair.session_id);
        sink.int(name!("audit.correlation.number"), u64::from(pair.number));
    }
}

fn list_identity(identity: &Identity, sink: &mut Sink<'_>) {
    sink.optional(name!("user.id"), identity.user_id.as_deref());
    sink.optional(name!("user.name"), identity.user_name.as_deref());
    sink.optional(name!("user.email"), identity.user_email.as_deref());
    sink.optional(
        name!("audit.identity.source"),
        identity.source.as_deref().map(str::as_bytes),
    );
}

fn list_request(exchange: &ExchangeRecord, sink: &mut Sink<'_>) {
    let request = &exchange.request;
    sink.present(name!("http.request.method"), request.method());
    sink.present(name!("url.path"), request.path());
    sink.optional(
        name!("http.route"),
        exchange.route.as_deref().map(str::as_bytes),
    );
    sink.present(name!("server.address"), request.host());
    if let Some(port) = exchange.port {
        sink.int(name!("server.port"), u64::from(port));
    }

    sink.optional(
        name!("network.protocol.version"),
        exchange.protocol_version.as_deref(),
    );
    sink.optional(name!("user_agent.original"), request.user_agent());
    sink.optional(name!("client.address"), exchange.client_address.as_deref());
    sink.optional(
        name!("audit.peer.uri_san"),
        exchange.peer_uri_san.as_deref(),
    );
    sink.optional(name!("audit.request_id"), request.request_id());
}

fn list_response(exchange: &ExchangeRecord, sink: &mut Sink<'_>) {
    if let Some(status) = exchange.http_status {
        sink.int(name!("http.response.status_code"), u64::from(status));
    }

    if exchange.protocol == Protocol::Grpc {
        sink.word(name!("rpc.system.name"), "grpc");

        let path = exchange.request.path();
        let of_path = || path.strip_prefix(b"/").unwrap_or(path);
        sink.present(
            name!("rpc.method"),
            exchange.rpc_method.as_deref().unwrap_or_else(of_path),
        );

        if exchange.dialect != Dialect::Grpc {
            sink.word(name!("audit.rpc.dialect"), exchange.dialect.as_str());
        }
    }

    if let Some(rpc) = &exchange.rpc {
        sink.word(name!("rpc.response.status_code"), &rpc.name);
        sink.word(name!("audit.rpc.status_source"), rpc.source.as_str());
    }

    sink.optional(
        name!("audit.upstream.cluster"),
        exchange.upstream_cluster.as_deref(),
    );
    sink.optional(
        name!("audit.response.flags"),
        exchange.response_flags.as_deref().map(str::as_bytes),
    );
    sink.optional(
        name!("audit.response.code_details"),
        exchange.response_code_details.as_deref(),
    );
    sink.optional(name!("error.message"), exchange.error_message.as_deref());
}
