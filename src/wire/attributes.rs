//! Which attributes a record has, under which names: one list for both formats.
//!
//! Names follow the OpenTelemetry semantic conventions where they have one (registry of 2026-08, `rpc.*` as release
//! candidate); the rest is `audit.*`.

use std::time::Duration;

use super::Numbered;
use crate::json::push_inside;
use crate::record::{Event, ExchangeRecord, Loss, Outcome, Protocol};
use crate::recorder::identity::Identity;
use crate::recorder::session::SessionId;
use crate::recorder::tracking::Context;

/// `audit.stage` of a record that is made before the request goes upstream.
const RECEIVED: &str = "received";

/// Where attributes go: one implementation for each format. Names need no escaping: they are this file's, or tags,
/// which are made of `[a-z0-9_.-]`.
pub(super) trait Sink {
    /// A string from raw bytes.
    fn text(&mut self, name: &str, value: &[u8]);
    /// An integer.
    fn int(&mut self, name: &str, value: u64);
    /// A boolean.
    fn flag(&mut self, name: &str, value: bool);
    /// A duration in milliseconds, exact to the microsecond.
    fn millis(&mut self, name: &str, value: Duration);

    /// A string if there is one.
    fn optional(&mut self, name: &str, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A string if it is not empty.
    fn present(&mut self, name: &str, value: &[u8]) {
        self.optional(name, Some(value).filter(|value| !value.is_empty()));
    }
}

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
            Some(Outcome::Failure) => 17,
        },
        Event::Loss(_) => 17,
        Event::StreamStart | Event::StreamEnd { .. } => 9,
    }
}

/// `<action> <outcome>`, `<action> received`, or the event's name: written inside a string.
pub(super) fn push_body(event: &Event, out: &mut String) {
    match event {
        Event::Exchange(exchange) => {
            push_inside(out, &exchange.action);
            out.push(' ');
            out.push_str(exchange.outcome.map_or(RECEIVED, Outcome::as_str));
        }
        _ => out.push_str(event_name(event)),
    }
}

/// Lists all attributes of a record.
pub(super) fn list(record: &Numbered<'_>, sink: &mut impl Sink) {
    let mut uid = [0; UID_BYTES];
    sink.text("log.record.uid", uid_text(record, &mut uid));
    sink.int("audit.sequence.number", record.number);
    match record.event {
        Event::Exchange(exchange) => list_exchange(exchange, sink),
        Event::StreamStart => {}
        Event::StreamEnd { next } => sink.int("audit.sequence.next", *next),
        Event::Loss(loss) => list_loss(loss, sink),
    }
}

const UID_PREFIX: &[u8] = b"aud_";
const UID_BYTES: usize = UID_PREFIX.len() + uuid::fmt::Hyphenated::LENGTH;

fn uid_text<'b>(record: &Numbered<'_>, buffer: &'b mut [u8; UID_BYTES]) -> &'b [u8] {
    let (prefix, rest) = buffer.split_at_mut(UID_PREFIX.len());
    prefix.copy_from_slice(UID_PREFIX);
    record.uid.hyphenated().encode_lower(rest);
    buffer
}

fn list_loss(loss: &Loss, sink: &mut impl Sink) {
    sink.text("audit.loss.reason", loss.reason.as_str().as_bytes());
    sink.int("audit.loss.count", loss.count);
    sink.int("audit.loss.first_number", loss.first);
    sink.int("audit.loss.last_number", loss.last);
}

fn list_exchange(exchange: &ExchangeRecord, sink: &mut impl Sink) {
    sink.text("audit.rule", exchange.rule.as_bytes());
    sink.text("audit.action", &exchange.action);
    match exchange.outcome {
        None => sink.text("audit.stage", RECEIVED.as_bytes()),
        Some(outcome) => {
            sink.text("audit.outcome", outcome.as_str().as_bytes());
            sink.text("audit.stage", b"complete");
            sink.millis("audit.duration_ms", exchange.duration);
        }
    }
    if exchange.immediate {
        sink.text("audit.priority", b"immediate");
    }
    list_context(exchange, sink);
    list_session(exchange, sink);
    list_identity(&exchange.identity, sink);
    list_request(exchange, sink);
    list_response(exchange, sink);
    for (name, value) in &exchange.captured {
        sink.text(name, value);
    }
    for (name, value) in exchange.tags.iter() {
        sink.text(&["audit.tag.", name].concat(), value.as_bytes());
    }
}

fn list_context(exchange: &ExchangeRecord, sink: &mut impl Sink) {
    match &exchange.context {
        None => {}
        Some(Context::Whole(context)) => sink.text("audit.session.context", context),
        Some(Context::Hashed { sha256, length }) => {
            sink.text("audit.session.context", ["sha256:", sha256].concat().as_bytes());
            sink.flag("audit.session.context_hashed", true);
            sink.int("audit.session.context_length", *length as u64);
        }
    }
    if exchange.header_conflict {
        sink.flag("audit.header_conflict", true);
    }
}

fn list_session(exchange: &ExchangeRecord, sink: &mut impl Sink) {
    match &exchange.session.id {
        None => {}
        Some(SessionId::Whole(id)) => sink.text("session.id", id),
        Some(SessionId::Hashed(hash)) => {
            sink.text("session.id", hash.as_bytes());
            sink.flag("audit.session.id_hashed", true);
        }
    }
    sink.optional("session.token_ref", exchange.session.token_ref.as_deref().map(str::as_bytes));
    if let Some(event) = exchange.session_event {
        sink.text("audit.session.event", event.as_str().as_bytes());
    }
    if exchange.session.is_basic {
        sink.text("audit.auth", b"basic");
    }
    if let Some(pair) = exchange.correlation {
        sink.text("audit.correlation.session_id", pair.session_id.to_string().as_bytes());
        sink.int("audit.correlation.number", u64::from(pair.number));
    }
}

fn list_identity(identity: &Identity, sink: &mut impl Sink) {
    sink.optional("user.id", identity.user_id.as_deref());
    sink.optional("user.name", identity.user_name.as_deref());
    sink.optional("user.email", identity.user_email.as_deref());
    sink.optional("audit.identity.source", identity.source.as_deref().map(str::as_bytes));
}

fn list_request(exchange: &ExchangeRecord, sink: &mut impl Sink) {
    sink.present("http.request.method", &exchange.method);
    sink.present("url.path", &exchange.path);
    sink.optional("http.route", exchange.route.as_deref().map(str::as_bytes));
    sink.present("server.address", &exchange.host);
    sink.optional("network.protocol.version", exchange.protocol_version.as_deref());
    sink.optional("user_agent.original", exchange.user_agent.as_deref());
    sink.optional("client.address", exchange.client_address.as_deref());
    sink.optional("audit.peer.uri_san", exchange.peer_uri_san.as_deref());
    sink.optional("audit.request_id", exchange.request_id.as_deref());
}

fn list_response(exchange: &ExchangeRecord, sink: &mut impl Sink) {
    if let Some(status) = exchange.http_status {
        sink.int("http.response.status_code", u64::from(status));
    }
    if exchange.protocol == Protocol::Grpc {
        sink.text("rpc.system.name", b"grpc");
        sink.present("rpc.method", exchange.path.strip_prefix(b"/").unwrap_or(&exchange.path));
    }
    if let Some(rpc) = &exchange.rpc {
        sink.text("rpc.response.status_code", rpc.name.as_bytes());
        sink.text("audit.rpc.status_source", rpc.source.as_str().as_bytes());
    }
    sink.optional("audit.upstream.cluster", exchange.upstream_cluster.as_deref());
    sink.optional("audit.response.flags", exchange.response_flags.as_deref().map(str::as_bytes));
    sink.optional("audit.response.code_details", exchange.response_code_details.as_deref());
    sink.optional("error.message", exchange.error_message.as_deref());
}
