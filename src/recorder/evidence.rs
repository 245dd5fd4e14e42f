//! What the end of a stream shows: what was spoken, what the server did, and how the stream came to its end.

use super::answer::{Answer, http_status, is_whole_call};
use super::completeness::Completeness;
use super::exchange::Subject;
use super::outcome;
use super::policy::End;
use super::rpc::{Claim, Dialect, Found, Status, StatusSource, Translated, Wire};
use crate::host::{Property, Stream};
use crate::record::{Outcome, Protocol, Termination};

/// What an answer shows to have been spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    /// This.
    Certain(Protocol),
    /// This, and on the other side of a translation the other one; or the answer of a server that does not speak what
    /// the request claims.
    Rather(Protocol),
    /// Nothing: there is no answer, or it is Envoy's own.
    Unknown,
}

/// What the end of a stream shows, read once.
pub(super) struct Evidence {
    claim: Claim,
    /// How the answer is written that goes to the client.
    wire: Option<Wire>,
    is_json: bool,
    has_status: bool,
    /// The status came from behind this filter.
    is_of_upstream: bool,
    /// It came in fields of HTTP, not in a body.
    has_fields: bool,
    is_grpc: bool,
    has_deadline: bool,
    is_on_path: bool,
    is_tunnel: bool,
    /// The upstream or Envoy broke the answer off.
    is_broken: bool,
    /// Envoy made the answer.
    pub(super) is_local: bool,
    pub(super) http_status: Option<u16>,
    pub(super) termination: Termination,
    pub(super) completeness: Completeness,
    /// Of a request that claims nothing: how another filter has translated it.
    pub(super) translated: Option<Translated>,
}

impl Evidence {
    pub(super) fn new(
        subject: &Subject,
        answer: &Answer<'_>,
        found: Option<&Found>,
        completeness: Completeness,
        stream: &dyn Stream,
    ) -> Self {
        let http_status =
            http_status(answer.headers).or_else(|| status_by_property(subject, stream));
        let termination = termination(subject, answer, found, http_status, &completeness, stream);
        let is_cut = !matches!(termination, Termination::Complete | Termination::Client);
        let is_own = is_whole_call(answer, found);
        let is_unseen = subject.start.is_none();

        // A request that claims nothing may be a call all the same, by its status or where the status is cut off.
        let is_cut_off = termination != Termination::Complete && http_status.is_some();
        let may_be_call = subject.claim == Claim::Http && (found.is_some() || is_cut_off);
        let is_post = subject.request.text.method() == b"POST";
        let was_call =
            |by: &Translated| by.is_to_grpc || found.is_some() && (is_post || by.method.is_some());
        let translated = may_be_call
            .then(|| Translated::read(subject.request.text.path(), stream))
            .filter(was_call);
        Self {
            claim: subject.claim,
            wire: Wire::of_content_type(answer.content_type),
            is_json: answer.content_type.starts_with(b"application/json"),
            has_status: found.is_some(),
            is_of_upstream: answer.has_seen_status,
            has_fields: found.is_some_and(|found| found.source != StatusSource::Http)
                && !answer.has_body_end,
            is_grpc: answer.is_grpc,
            has_deadline: subject.has_deadline,
            is_on_path: subject.start.is_some(),
            is_tunnel: is_tunnel(subject.request.text.method(), http_status),
            is_broken: is_cut && !answer.is_whole,
            is_local: is_unseen
                || termination == Termination::Complete
                    && !is_own
                    && !completeness.is_via_upstream(stream),
            http_status,
            termination,
            completeness,
            translated,
        }
    }

    pub(super) fn spoken(&self) -> Spoken {
        if self.translated.is_some() {
            return Spoken::Rather(Protocol::Grpc);
        }
        match (self.claim, self.http_status) {
            (Claim::Http | Claim::Contradictory, _) => Spoken::Certain(Protocol::Http),
            // Whether a JSON error is one of Connect, or of a service that names its errors alike, cannot be known.
            (Claim::Rpc(Wire::ConnectUnary | Wire::Json), _)
                if self.has_status && !self.has_fields =>
            {
                Spoken::Rather(Protocol::Grpc)
            }
            _ if self.has_status && self.is_of_upstream && !self.is_local => {
                Spoken::Certain(Protocol::Grpc)
            }
            _ if self.has_status => Spoken::Unknown,
            (Claim::Rpc(_), None) => Spoken::Unknown,
            _ if self.is_local => Spoken::Unknown,
            _ if self.wire.is_some() => Spoken::Certain(Protocol::Grpc),
            // JSON is what both a unary Connect call and any other request may be answered with.
            (Claim::Rpc(Wire::ConnectUnary | Wire::Json), Some(200)) if self.is_json => {
                Spoken::Unknown
            }
            // The status of a call in JSON comes at the very end.
            (Claim::Rpc(Wire::Transcoded), Some(200)) if self.is_grpc => {
                Spoken::Certain(Protocol::Grpc)
            }
            (_, Some(400..)) => Spoken::Rather(Protocol::Http),
            _ => Spoken::Certain(Protocol::Http),
        }
    }

    /// How the client spoke. What it sent may have been translated before this filter, and the answer says so.
    pub(super) fn dialect(&self) -> Dialect {
        if let Some(translated) = &self.translated {
            return if translated.is_to_grpc {
                Dialect::Transcoded
            } else {
                Dialect::Grpc
            };
        }
        match (self.claim, self.wire) {
            (Claim::Rpc(Wire::ConnectUnary | Wire::Json), _) if self.has_fields => {
                Dialect::Transcoded
            }
            (Claim::Rpc(wire), _) if !wire.is_grpc() => self.claim.dialect(),
            (_, Some(wire)) if !wire.is_grpc() => Claim::Rpc(wire).dialect(),
            // The bridge writes its requests so, and its answers in JSON.
            (Claim::Rpc(Wire::GrpcWithCodec), None) if self.has_status && self.is_json => {
                Dialect::Connect
            }
            _ => Dialect::Grpc,
        }
    }

    /// The end of the exchange read as plain HTTP.
    pub(super) fn http(&self, stream: &dyn Stream) -> End {
        let outcome = match self.http_status {
            None => Outcome::Aborted,
            Some(_) if self.is_tunnel => Outcome::Success,
            Some(_) if self.is_broken => Outcome::Aborted,
            Some(status) => self.by_cause(outcome::of_status(status), stream),
        };
        self.end_with(outcome, false, stream)
    }

    /// The end of the exchange read as a call.
    pub(super) fn call(&self, found: Option<Found>, stream: &dyn Stream) -> (Found, End) {
        let found = found.unwrap_or_else(|| self.status_without_one(stream));
        let outcome = match (found.source, self.http_status) {
            (StatusSource::Reset, _) => Outcome::Aborted,
            (StatusSource::Http, Some(status @ 400..)) => outcome::of_status(status),
            _ => outcome::of_call(found.status),
        };
        let is_unavailable = found.source == StatusSource::Unavailable;
        let end = self.end_with(self.by_cause(outcome, stream), is_unavailable, stream);
        (found, end)
    }

    /// What a client makes of an answer without a status.
    fn status_without_one(&self, stream: &dyn Stream) -> Found {
        let is_unary = self.claim.may_be_unary_connect();
        let ends_in_body = matches!(
            self.wire,
            Some(Wire::GrpcWeb | Wire::GrpcWebText | Wire::ConnectStream)
        );
        let left = self.termination == Termination::Client && !is_unary;
        let by_transcoder = || outcome::status_of_transcoder(self.completeness.details(stream)?);
        let (status, source) = match self.http_status {
            None => (Status::MISSING, StatusSource::Reset),
            Some(200) if self.is_broken || left => (Status::MISSING, StatusSource::Reset),
            Some(200) if is_unary => (Status::OK, StatusSource::Http),
            Some(200) if ends_in_body => (Status::MISSING, StatusSource::Unavailable),
            Some(status) => (
                by_transcoder().unwrap_or(Status::from_http(status)),
                StatusSource::Http,
            ),
        };
        Found {
            status,
            source,
            message: None,
        }
    }

    /// The outcome with regard to why Envoy made or rewrote the answer. A refusal is one whatever the status says; any
    /// other cause counts where the status is one of success.
    fn by_cause(&self, outcome: Outcome, stream: &dyn Stream) -> Outcome {
        if !self.is_local || outcome == Outcome::Aborted {
            return outcome;
        }
        let details = self.completeness.details(stream);
        let has_flags =
            outcome == Outcome::Success && !self.completeness.is_direct_response(stream);
        let flags = if has_flags {
            self.completeness.flags(stream)
        } else {
            0
        };
        match outcome::of_cause(details, flags) {
            Some(Outcome::Denied) => Outcome::Denied,
            Some(cause) if outcome == Outcome::Success => cause,
            _ => outcome,
        }
    }

    fn end_with(&self, outcome: Outcome, is_unavailable: bool, stream: &dyn Stream) -> End {
        // Without a status, of a stream that Envoy has lost, nothing is known.
        let was_left = match self.termination {
            Termination::Client | Termination::Timeout => true,
            Termination::Proxy => self.http_status.is_none(),
            Termination::Complete | Termination::Upstream => false,
        };
        let is_no_error = self.http_status.is_none_or(|status| status < 400);
        let by_leaving = outcome == Outcome::Aborted && was_left && is_no_error;
        let is_provoked = outcome != Outcome::Success && self.is_provoked(stream);
        let http_status = if is_provoked { None } else { self.http_status };
        End {
            outcome,
            http_status,
            may_be_success: is_unavailable || by_leaving || is_provoked,
        }
    }
}

impl Evidence {
    /// Whether Envoy has answered in place of the server because of what the client has done: a limit that it has set,
    /// a request that it does not finish, a mistake. The server may have done its work by then.
    fn is_provoked(&self, stream: &dyn Stream) -> bool {
        /// Request Timeout: Envoy answers so when a request does not come to its end.
        const REQUEST_TIMEOUT: u16 = 408;
        self.is_local
            && self.is_on_path
            && (self.http_status == Some(REQUEST_TIMEOUT)
                || self.has_deadline && self.completeness.is_timeout(stream)
                || self.completeness.is_client_error(stream))
    }
}

/// Over HTTP/3 headers are gone when the stream ends.
fn status_by_property(subject: &Subject, stream: &dyn Stream) -> Option<u16> {
    let number = subject
        .is_quic()
        .then(|| stream.number(Property::ResponseCode))
        .flatten()?;
    u16::try_from(number).ok().filter(|status| *status > 0)
}

fn termination(
    subject: &Subject,
    answer: &Answer<'_>,
    found: Option<&Found>,
    http_status: Option<u16>,
    completeness: &Completeness,
    stream: &dyn Stream,
) -> Termination {
    // An earlier filter's answer was sent before this filter was called.
    if subject.start.is_none() && http_status.is_some() {
        return Termination::Complete;
    }
    if is_whole_call(answer, found) {
        return Termination::Complete;
    }
    let termination = completeness.termination(http_status, stream);
    // Envoy's own answer to a call has the HTTP status of success, also when it was made for want of another one.
    let is_own = found.is_some_and(|found| found.source == StatusSource::Headers);
    if is_own && termination != Termination::Client {
        return Termination::Complete;
    }
    // Over HTTP/3 Envoy does not say that the client has left, and what breaks off otherwise is logged with its reason.
    let is_known = termination != Termination::Complete && http_status.is_some();
    let is_cut = http_status.is_none() || answer.was_seen && !answer.is_whole;
    if subject.is_quic() && is_cut && !is_known {
        Termination::Client
    } else {
        termination
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
