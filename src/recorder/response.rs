//! Response callbacks: whether the body is read for the user or a status, and whether a session
//! begins.

use uuid::Uuid;

use super::exchange::{Audited, Candidate, Exchange, Subject};
use super::headers::Headers;
use super::identity::response_json::Body;
use super::outcome::answer::http_status;
use super::rpc::{BodyEnd, Claim, Found, Status, StatusSource, Wire};
use super::rules::End;
use super::session::{SessionEvent, SessionId, SessionSettings};
use super::{Recorder, outcome};
use crate::host::Stream;
use crate::quota::Lease;
use crate::record::{Outcome, Protocol};

impl Recorder {
    /// Takes the start of the response. `end_of_stream`: it has only headers. True: call
    /// [`Self::handle_response_headers`], which costs a host call for the headers.
    pub fn handle_response(&self, exchange: &mut Exchange, end_of_stream: bool) -> bool {
        exchange.answer();
        let Some(audited) = exchange.audited_mut() else {
            return false;
        };
        audited.seen.is_whole |= end_of_stream;
        audited.wants_response_headers(end_of_stream)
    }

    /// Takes the serialized response headers and decides which part of the body is read. Returns
    /// the id of a new session that has none, to be sent in [`super::session::ID_HEADER`].
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

    /// Takes a chunk of the response body of this size. Only the needed part is fetched.
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

    /// Whether [`Self::handle_response_trailers`] is needed, so that the trailers are worth a host
    /// call.
    #[must_use]
    pub fn wants_response_trailers(&self, exchange: &Exchange) -> bool {
        exchange.audited().is_some()
    }

    /// Takes the serialized response trailers, which have the status of a call.
    pub fn handle_response_trailers(&self, exchange: &mut Exchange, trailers: &[u8]) {
        if let Some(audited) = exchange.audited_mut() {
            audited.handle_response_trailers(trailers);
        }
    }
}

impl Audited {
    /// Whether the response headers are needed before the end. `is_whole`: nothing follows them.
    pub(super) fn wants_response_headers(&self, is_whole: bool) -> bool {
        let may_have_status = match self.subject.claim {
            // The status of a response that consists of headers only. Another filter may remove it.
            Claim::Rpc(Wire::Grpc | Wire::GrpcWithCodec) => is_whole,
            // For the others, the response's content type is more reliable than the request's.
            Claim::Rpc(_) => true,
            Claim::Http | Claim::Contradictory => false,
        };

        may_have_status
            || self.subject.is_quic()
            || self.subject.candidates.iter().any(wants_headers)
    }

    /// Takes the response headers.
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

    /// Takes a chunk of the body of this size.
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

    /// Takes the response trailers. Their status takes precedence over one in the headers.
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

/// Upper bound of the body bytes to read. `None`: no identity source needs it, or the response is
/// not recorded.
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

/// Starts reading the end of the body, if it has the status of a call.
fn body_end(claim: Claim, headers: &Headers<'_>, lease: Lease) -> Option<Box<BodyEnd>> {
    let content_type = headers.first("content-type")?;
    let is_encoded = headers
        .all("content-encoding")
        .any(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    let is_unary = claim.may_be_unary_connect();
    let is_error = is_unary && http_status(headers).is_some_and(|status| status >= 400);
    BodyEnd::begin(content_type, is_encoded, is_error, lease).map(Box::new)
}

/// The session that a login begins. Its id is the response's own, else a new one, which is returned
/// to be sent to the client.
fn begin_session(
    audited: &mut Audited,
    headers: &Headers<'_>,
    settings: &SessionSettings,
    fresh_id: &dyn Fn() -> Option<Uuid>,
) -> Option<String> {
    if !begins_session(&audited.subject, headers) {
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

/// Whether the response is one to a login that succeeded, as far as its headers show.
fn begins_session(subject: &Subject, headers: &Headers<'_>) -> bool {
    let is_start = |candidate: &&Candidate| candidate.rule.session == Some(SessionEvent::Start);
    let mut logins = subject.candidates.iter().filter(is_start).peekable();
    if logins.peek().is_none() {
        return false;
    }

    let http_status = http_status(headers);
    let end = End {
        outcome: Outcome::Success,
        http_status,
        may_be_success: false,
    };
    let content_type = headers.first("content-type").unwrap_or_default();
    let is_call = Wire::of_content_type(content_type).is_some();
    // A unary Connect response is JSON, as a plain one may be.
    let protocols: &[Protocol] = match (subject.claim.may_be_unary_connect(), is_call) {
        (true, _) => &[Protocol::Http, Protocol::Grpc],
        (false, true) => &[Protocol::Grpc],
        (false, false) => &[Protocol::Http],
    };

    let wants = |candidate: &Candidate| {
        protocols
            .iter()
            .any(|of| candidate.readings.has(*of) && candidate.rule.wants(*of, &end))
    };
    logins.any(wants) && succeeds(http_status, headers)
}

/// Judging by the headers; a gRPC call may still fail in its trailers.
fn succeeds(http_status: Option<u16>, headers: &Headers<'_>) -> bool {
    let is_success = http_status.map(outcome::of_status) == Some(Outcome::Success);
    is_success
        && headers
            .first("grpc-status")
            .is_none_or(|value| Status::parse(value) == Status::OK)
}
