//! The beginning of a response: whether its body is read for the user, and whether it begins a session.

use uuid::Uuid;

use super::exchange::{Audited, Exchange};
use super::headers::Headers;
use super::response_json::Body;
use super::session::{SessionEvent, SessionId, Settings};
use super::{finish, grpc, outcome};
use crate::host::Stream;
use crate::record::{Outcome, Protocol};

/// Whether the headers of a response are needed before its end.
pub(super) fn wants_headers(audited: &Audited) -> bool {
    audited.rule.session == Some(SessionEvent::Start) || audited.rule.identity.reads_body()
}

/// Begins to read the body where the user may be found in it and the response may be recorded.
pub(super) fn begin_body(exchange: &mut Exchange, headers: &Headers<'_>, stream: &dyn Stream) {
    let Some(audited) = exchange.audited() else { return };
    let identity = &audited.rule.identity;
    let may_be_wanted = audited.request.protocol == Protocol::Http && audited.rule.may_want(finish::status(headers));
    if may_be_wanted && identity.needs_body(&audited.claims, headers, stream) {
        let body = Body::begin(headers, identity.max_body_bytes);
        exchange.read_body(body);
    }
}

/// The session that a login begins: the id that the response has of its own, else a new one, which is returned so that
/// it can be sent to the client.
pub(super) fn begin_session(
    exchange: &mut Exchange,
    headers: &Headers<'_>,
    settings: &Settings,
    fresh_id: &dyn Fn() -> Option<Uuid>,
) -> Option<String> {
    let audited = exchange.audited_mut()?;
    let is_recorded = || audited.rule.wants(audited.request.protocol, Outcome::Success, finish::status(headers));
    let begins = audited.rule.session == Some(SessionEvent::Start) && is_recorded();
    if !begins || !succeeds(audited.request.protocol, headers) {
        return None;
    }
    audited.begun = settings.of_response(headers);
    if audited.begun.is_some() {
        return None;
    }
    let made = fresh_id()?.to_string();
    audited.begun = Some(SessionId::Whole(made.clone().into_bytes()));
    Some(made)
}

/// As far as the headers tell: a gRPC call may still fail in its trailers.
fn succeeds(protocol: Protocol, headers: &Headers<'_>) -> bool {
    let is_success = outcome::of_http(finish::status(headers), true) == Outcome::Success;
    let fails_already =
        headers.first("grpc-status").is_some_and(|value| grpc::Status::parse(value) != grpc::Status::OK);
    is_success && !(protocol == Protocol::Grpc && fails_already)
}
