//! How an exchange ended: what was spoken, what the server did, and how the stream came to its end.

use super::completeness::Completeness;
use super::exchange::{Candidate, Subject};
use super::headers::Headers;
use super::outcome;
use super::policy::End;
use super::rpc::{Claim, Dialect, Found, Status, StatusSource, Wire};
use crate::host::{Property, Stream};
use crate::record::{Outcome, Protocol, Termination};

/// What an answer shows to have been spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    /// This.
    Certain(Protocol),
    /// This, and on the other side of a translation the other one; or the answer of a server that does not speak what
    /// the request claims.
    Rather(Protocol),
    /// Nothing: there is no answer, or it is Envoy's own.
    Unknown,
}

/// How one exchange ended, before it is known whether a record is wanted.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) http_status: Option<u16>,
    pub(super) termination: Termination,
    pub(super) completeness: Completeness,
    /// How the call was spoken, if it was one.
    pub(super) dialect: Dialect,
    /// Envoy made the answer.
    pub(super) is_local: bool,
    spoken: Spoken,
    http: End,
    call: End,
    status: Found,
}

/// What is at hand of the answer at the end.
pub(super) struct Answer<'a> {
    pub(super) headers: &'a Headers<'a>,
    /// All of it has come as far as this filter.
    pub(super) is_whole: bool,
    /// The status of a call, where it was found.
    pub(super) status: Option<Found>,
}

/// The status among the headers of a response.
pub(super) fn status(headers: &Headers<'_>) -> Option<u16> {
    std::str::from_utf8(headers.first(":status")?).ok()?.parse().ok()
}

impl Ending {
    pub(super) fn read(
        subject: &Subject,
        mut answer: Answer<'_>,
        completeness: Completeness,
        stream: &dyn Stream,
    ) -> Self {
        let view = View::new(subject, &answer, completeness, stream);
        let found = answer.status.take().or_else(|| view.status_at_the_end(&answer, stream));
        let spoken = view.spoken(found.is_some());
        let dialect = view.dialect(found.is_some());
        let (status, call) = view.call(found, stream);
        let http = view.http(stream);
        let View { http_status, termination, completeness, is_local, .. } = view;
        Self { http_status, termination, completeness, dialect, is_local, spoken, http, call, status }
    }

    /// Whether the answer came to its end, as far as the server and Envoy are concerned.
    pub(super) fn is_whole(&self) -> bool {
        self.http.outcome != Outcome::Aborted && self.termination == Termination::Complete
    }

    /// The place of the candidate that decides, and how the exchange is read for it. `None`: no candidate wants a record.
    ///
    /// The end of an exchange is always wanted when there is a record that it had started.
    pub(super) fn choose(&self, subject: &Subject) -> Option<(usize, Protocol)> {
        let wants = |candidate: &Candidate, protocol| candidate.rule.wants(protocol, self.end(protocol));
        let found = self.first(subject, wants);
        let is_owed = found.is_none() && subject.started_number.is_some();
        if is_owed { self.first(subject, |_, _| true) } else { found }
    }

    /// The first candidate that is for what was spoken and passes the test.
    fn first(&self, subject: &Subject, test: impl Fn(&Candidate, Protocol) -> bool) -> Option<(usize, Protocol)> {
        let of = |protocol| {
            let passes = |candidate: &Candidate| candidate.rule.is_for(protocol) && test(candidate, protocol);
            subject.candidates.iter().position(passes).map(|place| (place, protocol))
        };
        let other = |protocol| if protocol == Protocol::Http { Protocol::Grpc } else { Protocol::Http };
        match self.spoken {
            Spoken::Certain(protocol) => of(protocol),
            Spoken::Rather(protocol) => of(protocol).or_else(|| of(other(protocol))),
            // Whichever rule comes first. One that is for both is for what the request claims.
            Spoken::Unknown => {
                let claimed = subject.claim.protocol();
                let found = [of(claimed), of(other(claimed))].into_iter().flatten();
                found.min_by_key(|(place, _)| *place)
            }
        }
    }

    /// Whether the answer is not of the protocol that the request claims, or the claim contradicts itself.
    pub(super) fn belies(&self, claim: Claim) -> bool {
        let is_http = matches!(self.spoken, Spoken::Certain(Protocol::Http) | Spoken::Rather(Protocol::Http));
        claim == Claim::Contradictory || claim.is_rpc() && is_http
    }

    pub(super) fn end(&self, protocol: Protocol) -> &End {
        match protocol {
            Protocol::Http => &self.http,
            Protocol::Grpc => &self.call,
        }
    }

    /// The status of the call that it was.
    pub(super) fn status(self) -> Found {
        self.status
    }
}

/// What the end of a stream shows, read once.
struct View {
    claim: Claim,
    /// How the answer is written that goes to the client.
    wire: Option<Wire>,
    is_json: bool,
    http_status: Option<u16>,
    termination: Termination,
    completeness: Completeness,
    /// Envoy made the answer.
    is_local: bool,
    /// The upstream or Envoy broke the answer off.
    is_broken: bool,
    is_tunnel: bool,
    has_deadline: bool,
}

impl View {
    fn new(subject: &Subject, answer: &Answer<'_>, completeness: Completeness, stream: &dyn Stream) -> Self {
        let by_property = || subject.is_quic().then(|| stream.number(Property::ResponseCode)).flatten();
        let by_property = || u16::try_from(by_property()?).ok().filter(|status| *status > 0);
        let http_status = status(answer.headers).or_else(by_property);
        // An earlier filter's answer was sent before this filter was called.
        let is_unseen = subject.start.is_none();
        let termination = match http_status {
            Some(_) if is_unseen => Termination::Complete,
            _ => completeness.termination(http_status, stream),
        };
        let is_cut = !matches!(termination, Termination::Complete | Termination::Client);
        let content_type = answer.headers.first("content-type").unwrap_or_default();
        Self {
            claim: subject.claim,
            wire: Wire::of_content_type(content_type),
            is_json: content_type.starts_with(b"application/json"),
            is_local: is_unseen || termination == Termination::Complete && !completeness.is_via_upstream(stream),
            is_broken: is_cut && !answer.is_whole,
            is_tunnel: is_tunnel(&subject.request.method, http_status),
            has_deadline: subject.has_deadline,
            http_status,
            termination,
            completeness,
        }
    }

    /// Looks for the status of a call where it is at the end of the stream: among the headers that go to the client, or
    /// in the trailers of an answer that a filter has turned into one of gRPC.
    fn status_at_the_end(&self, answer: &Answer<'_>, stream: &dyn Stream) -> Option<Found> {
        let is_grpc = matches!(self.wire, Some(Wire::Grpc | Wire::GrpcWithCodec));
        let in_trailers = || {
            let status = Status::parse(&stream.response_trailer("grpc-status")?);
            let message = stream.response_trailer("grpc-message").unwrap_or_default();
            Some(Found::new(status, StatusSource::Trailers, &message))
        };
        let in_headers = || Found::in_map(answer.headers, StatusSource::Headers);
        is_grpc.then(in_trailers).flatten().or_else(in_headers)
    }

    fn spoken(&self, has_status: bool) -> Spoken {
        if has_status {
            return match self.claim {
                Claim::Rpc(_) if self.is_local => Spoken::Unknown,
                Claim::Rpc(_) => Spoken::Certain(Protocol::Grpc),
                Claim::Http | Claim::Contradictory => Spoken::Rather(Protocol::Grpc),
            };
        }
        let is_call = self.wire.is_some_and(|wire| wire != Wire::ConnectUnary);
        match (self.claim, self.http_status) {
            (Claim::Http | Claim::Contradictory, _) if is_call => Spoken::Rather(Protocol::Grpc),
            (Claim::Http | Claim::Contradictory, _) => Spoken::Certain(Protocol::Http),
            (Claim::Rpc(_), None) => Spoken::Unknown,
            _ if self.is_local => Spoken::Unknown,
            _ if self.wire.is_some() => Spoken::Certain(Protocol::Grpc),
            // JSON is what both a unary Connect call and any other request may be answered with.
            (Claim::Rpc(Wire::ConnectUnary), Some(200)) if self.is_json => Spoken::Unknown,
            (_, Some(400..)) => Spoken::Rather(Protocol::Http),
            _ => Spoken::Certain(Protocol::Http),
        }
    }

    /// How the client spoke. What it sent may have been translated before this filter, and the answer says so.
    fn dialect(&self, has_status: bool) -> Dialect {
        let is_grpc = matches!(self.wire, Some(Wire::Grpc | Wire::GrpcWithCodec));
        match (self.claim, self.wire) {
            (Claim::Rpc(Wire::GrpcWeb | Wire::GrpcWebText), _) => Dialect::GrpcWeb,
            (Claim::Rpc(Wire::ConnectStream | Wire::ConnectUnary), _) => Dialect::Connect,
            _ if is_grpc => Dialect::Grpc,
            (_, Some(Wire::GrpcWeb | Wire::GrpcWebText)) => Dialect::GrpcWeb,
            (_, Some(_)) => Dialect::Connect,
            (Claim::Rpc(Wire::GrpcWithCodec), None) if has_status && self.is_json => Dialect::Connect,
            (Claim::Rpc(_), None) if !has_status || !self.is_json => Dialect::Grpc,
            _ => Dialect::Transcoded,
        }
    }

    /// The end of the exchange read as plain HTTP.
    fn http(&self, stream: &dyn Stream) -> End {
        let outcome = match self.http_status {
            None => Outcome::Aborted,
            Some(_) if self.is_tunnel => Outcome::Success,
            Some(_) if self.is_broken => Outcome::Aborted,
            Some(status) => self.cause(stream).unwrap_or_else(|| outcome::of_status(status)),
        };
        self.end_with(outcome, false, stream)
    }

    /// The end of the exchange read as a call.
    fn call(&self, found: Option<Found>, stream: &dyn Stream) -> (Found, End) {
        let status = found.unwrap_or_else(|| self.status_without_one());
        let outcome = match status.source {
            StatusSource::Reset => Outcome::Aborted,
            StatusSource::Http => match self.http_status {
                Some(status @ 400..) => outcome::of_status(status),
                _ => outcome::of_call(status.status),
            },
            _ => outcome::of_call(status.status),
        };
        let cause = self.cause(stream).filter(|_| outcome != Outcome::Aborted);
        let is_unavailable = status.source == StatusSource::Unavailable;
        let end = self.end_with(cause.unwrap_or(outcome), is_unavailable, stream);
        (status, end)
    }

    /// What a client makes of an answer without a status.
    fn status_without_one(&self) -> Found {
        let is_unary = self.claim == Claim::Rpc(Wire::ConnectUnary);
        let ends_in_body = matches!(self.wire, Some(Wire::GrpcWeb | Wire::GrpcWebText | Wire::ConnectStream));
        let left = self.termination == Termination::Client && !is_unary;
        let (status, source) = match self.http_status {
            None => (Status::MISSING, StatusSource::Reset),
            Some(200) if self.is_broken || left => (Status::MISSING, StatusSource::Reset),
            Some(200) if is_unary => (Status::OK, StatusSource::Http),
            Some(200) if ends_in_body => (Status::MISSING, StatusSource::Unavailable),
            Some(status) => (Status::from_http(status), StatusSource::Http),
        };
        Found { status, source, message: None }
    }

    /// Why Envoy made or rewrote the answer. A status that is an error by itself says as much, unless it was a refusal.
    fn cause(&self, stream: &dyn Stream) -> Option<Outcome> {
        if !self.is_local {
            return None;
        }
        let is_error = self.http_status.is_some_and(|status| status >= 400);
        let details = self.completeness.details(stream);
        let has_flags = !is_error && !self.completeness.is_direct_response(stream);
        let flags = if has_flags { self.completeness.flags(stream) } else { 0 };
        outcome::of_cause(details, flags).filter(|cause| !is_error || *cause == Outcome::Denied)
    }

    fn end_with(&self, outcome: Outcome, is_unavailable: bool, stream: &dyn Stream) -> End {
        let was_left = matches!(self.termination, Termination::Client | Termination::Timeout);
        let is_no_error = self.http_status.is_none_or(|status| status < 400);
        let by_leaving = outcome == Outcome::Aborted && was_left && is_no_error;
        // Envoy has answered in place of the server, because of a limit that the client has set.
        let by_deadline =
            self.has_deadline && outcome != Outcome::Success && self.is_local && self.completeness.is_timeout(stream);
        let http_status = if by_deadline { None } else { self.http_status };
        End { outcome, http_status, may_be_success: is_unavailable || by_leaving || by_deadline }
    }
}

/// Whether the answer opens a tunnel, which is complete with it (RFC 9110, sections 9.3.6 and 15.2.2).
fn is_tunnel(method: &[u8], http_status: Option<u16>) -> bool {
    match http_status {
        Some(101) => true,
        Some(200..=299) => method == b"CONNECT",
        _ => false,
    }
}
