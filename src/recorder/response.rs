//! The answer on its way: whether its body is read for the user or for a status, and whether it begins a session.

use uuid::Uuid;

use super::Recorder;
use super::answer::http_status;
use super::exchange::{Audited, Candidate, Exchange, Subject};
use super::headers::Headers;
use super::outcome;
use super::policy::End;
use super::response_json::Body;
use super::rpc::{BodyEnd, Claim, Found, Status, StatusSource, Wire};
use super::session::{SessionEvent, SessionId, Settings};
use crate::host::Stream;
use crate::quota::Lease;
use crate::record::{Outcome, Protocol};

impl Recorder {
    /// Takes the beginning of the response. `end_of_stream`: its headers are all of it. True: they are wanted, so that
    /// they are worth a host call and [`Self::handle_response_headers`].
    pub fn handle_response(&self, exchange: &mut Exchange, end_of_stream: bool) -> bool {
        exchange.answer();
        let Some(audited) = exchange.audited_mut() else {
            return false;
        };
        audited.seen.is_whole |= end_of_stream;
        audited.wants_response_headers(end_of_stream)
    }

    /// Takes the response headers, in the serialization of proxy-wasm hosts: decides what is read of the body, and yields
    /// the id of a session that begins and has none, to be returned in [`super::session::ID_HEADER`].
    pub fn handle_response_headers(
        &self,
        exchange: &mut Exchange,
        map: Vec<u8>,
        stream: &dyn Stream,
        fresh_id: &dyn Fn() -> Option<Uuid>,
    ) -> Option<String> {
        let connection = exchange.connection(stream);
        let audited = exchange.audited_mut()?;
        let headers = Headers::parse(&map);
        audited.handle_response_headers(&headers, stream, || self.bodies.lease(connection));
        let made = begin_session(audited, &headers, &self.settings.session, fresh_id);
        if audited.subject.is_quic() {
            audited.seen.headers = Some(map);
        }
        made
    }

    /// Takes a chunk of the response's body, of this size. Only what is needed of it is fetched.
    pub fn handle_response_body(
        &self,
        exchange: &mut Exchange,
        bytes: usize,
        end_of_stream: bool,
        stream: &dyn Stream,
    ) {
        if let Some(audited) = exchange.audited_mut() {
            audited.handle_response_body(bytes, end_of_stream, stream);
        }
    }

    /// Whether [`Self::handle_response_trailers`] has anything to do, so that the trailers are worth a host call.
    #[must_use]
    pub fn wants_response_trailers(&self, exchange: &Exchange) -> bool {
        exchange.audited().is_some()
    }

    /// Takes the response trailers, where the status of a call is, in the serialization of proxy-wasm hosts.
    pub fn handle_response_trailers(&self, exchange: &mut Exchange, trailers: &[u8]) {
        if let Some(audited) = exchange.audited_mut() {
            audited.handle_response_trailers(trailers);
        }
    }
}

impl Audited {
    /// Whether the headers of the answer are needed before its end. `is_whole`: nothing follows them.
    pub(super) fn wants_response_headers(&self, is_whole: bool) -> bool {
        let may_have_status = match self.subject.claim {
            // A status among the headers of an answer that is nothing else. Another filter may take it away.
            Claim::Rpc(Wire::Grpc | Wire::GrpcWithCodec) => is_whole,
            // Of the others the answer's content type says more than the request.
            Claim::Rpc(_) => true,
            Claim::Http | Claim::Contradictory => false,
        };
        may_have_status
            || self.subject.is_quic()
            || self.subject.candidates.iter().any(wants_headers)
    }

    /// Takes the headers of the answer.
    fn handle_response_headers(
        &mut self,
        headers: &Headers<'_>,
        stream: &dyn Stream,
        lease: impl Fn() -> Lease,
    ) {
        let Self { subject, seen, .. } = self;
        let limit = body_limit(subject, headers, stream);
        seen.body = limit.map(|limit| Box::new(Body::begin(headers, limit, lease())));

        let wire = Wire::of_content_type(headers.first("content-type").unwrap_or_default());
        seen.is_grpc = wire.is_some_and(Wire::is_grpc);
        if seen.is_whole {
            seen.status = Found::in_map(headers, StatusSource::Headers);
        } else if subject.claim.is_rpc() {
            seen.body_end = body_end(subject.claim, headers, lease());
        }
    }

    /// Takes a chunk of the body, of this size.
    pub(super) fn handle_response_body(
        &mut self,
        bytes: usize,
        is_last: bool,
        stream: &dyn Stream,
    ) {
        self.seen.is_whole |= is_last;
        if let Some(body) = &mut self.seen.body {
            let wanted = body.wants(bytes);
            let chunk = if wanted > 0 {
                stream.response_body(0, wanted)
            } else {
                Vec::new()
            };
            body.push(&chunk, bytes);
        }
        if let Some(end) = &mut self.seen.body_end {
            end.handle_chunk(bytes, stream);
        }
    }

    /// Takes the trailers of the answer. Their status counts before one among the headers.
    pub(super) fn handle_response_trailers(&mut self, trailers: &[u8]) {
        self.seen.is_whole = true;
        if let Some(found) = Found::in_trailers(trailers) {
            self.seen.status = Some(found);
            self.seen.has_trailers = true;
        }
    }
}

fn wants_headers(candidate: &Candidate) -> bool {
    candidate.rule.session == Some(SessionEvent::Start) || candidate.rule.identity.reads_body()
}

/// How much is read of the body. `None`: nothing, since the user is not to be found in it, or the response is not recorded.
fn body_limit(subject: &Subject, headers: &Headers<'_>, stream: &dyn Stream) -> Option<usize> {
    let status = http_status(headers);
    let needs = |candidate: &&Candidate| {
        candidate.rule.may_want(status)
            && candidate
                .rule
                .identity
                .needs_body(&candidate.claims, headers, stream)
    };
    subject
        .candidates
        .iter()
        .filter(needs)
        .map(|candidate| candidate.rule.identity.max_body_bytes)
        .max()
}

/// Begins to read the end of the body where it has the status of a call.
fn body_end(claim: Claim, headers: &Headers<'_>, lease: Lease) -> Option<Box<BodyEnd>> {
    let content_type = headers.first("content-type")?;
    let is_encoded = headers
        .all("content-encoding")
        .any(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    let is_unary = claim.may_be_unary_connect();
    let is_error = is_unary && http_status(headers).is_some_and(|status| status >= 400);
    BodyEnd::begin(content_type, is_encoded, is_error, lease).map(Box::new)
}

/// The session that a login begins: the id that the response has of its own, else a new one, which is returned so that
/// it can be sent to the client.
fn begin_session(
    audited: &mut Audited,
    headers: &Headers<'_>,
    settings: &Settings,
    fresh_id: &dyn Fn() -> Option<Uuid>,
) -> Option<String> {
    let is_start = |candidate: &&Candidate| candidate.rule.session == Some(SessionEvent::Start);
    if !audited
        .subject
        .candidates
        .iter()
        .any(|candidate| is_start(&candidate))
    {
        return None;
    }

    let http_status = http_status(headers);
    let end = End {
        outcome: Outcome::Success,
        http_status,
        may_be_success: false,
    };
    let content_type = headers.first("content-type").unwrap_or_default();
    let is_unary = audited.subject.claim.may_be_unary_connect();
    let is_call = Wire::of_content_type(content_type).is_some() || is_unary;
    let may_be = |protocol: Protocol| {
        if is_call {
            protocol == Protocol::Grpc || is_unary
        } else {
            protocol == Protocol::Http
        }
    };
    let wants = |candidate: &Candidate| {
        let mut readings = [Protocol::Http, Protocol::Grpc]
            .into_iter()
            .filter(|of| candidate.readings.has(*of));
        readings.any(|of| may_be(of) && candidate.rule.wants(of, &end))
    };
    let begins = audited
        .subject
        .candidates
        .iter()
        .filter(is_start)
        .any(wants);
    if !begins || !succeeds(http_status, headers) {
        return None;
    }

    let (own, conflict) = settings.of_response(headers);
    audited.seen.begun = own;
    audited.subject.tracking.conflict |= conflict;
    if audited.seen.begun.is_some() {
        return None;
    }
    let made = fresh_id()?.to_string();
    audited.seen.begun = Some(SessionId::Whole(made.clone().into_bytes()));
    Some(made)
}

/// As far as the headers show: a gRPC call may still fail in its trailers.
fn succeeds(http_status: Option<u16>, headers: &Headers<'_>) -> bool {
    let is_success = http_status.map(outcome::of_status) == Some(Outcome::Success);
    is_success
        && headers
            .first("grpc-status")
            .is_none_or(|value| Status::parse(value) == Status::OK)
}
