//! Evidence at the end of a stream: the protocol used, the server's result, and how the stream
//! ended.

use super::answer::{Answer, http_status, is_whole_call};
use super::completeness::Completeness;
use crate::host::{Property, Stream};
use crate::record::{Outcome, Protocol, Termination};
use crate::recorder::exchange::Subject;
use crate::recorder::outcome;
use crate::recorder::rpc::{Claim, Dialect, Found, Status, StatusSource, Translated, Wire};
use crate::recorder::rules::End;

/// The protocol that a response proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::recorder) enum Spoken {
    /// This protocol.
    Certain(Protocol),
    /// Probably this one. A filter translates to the other one, or the server does not support the
    /// declared protocol.
    Rather(Protocol),
    /// Unknown: there is no response, or Envoy generated it.
    Unknown,
}

/// Evidence at the end of a stream, read once.
pub(in crate::recorder) struct Evidence {
    claim: Claim,
    /// Wire format of the response sent to the client.
    wire: Option<Wire>,
    is_json: bool,
    has_status: bool,
    /// The status came from upstream of this filter.
    is_of_upstream: bool,
    /// The status was in HTTP headers or trailers, not in a body.
    has_fields: bool,
    is_grpc: bool,
    has_deadline: bool,
    is_on_path: bool,
    is_tunnel: bool,
    /// The upstream or Envoy interrupted the response.
    is_broken: bool,
    /// Envoy generated the response.
    pub(in crate::recorder) is_local: bool,
    pub(in crate::recorder) http_status: Option<u16>,
    pub(in crate::recorder) termination: Termination,
    pub(in crate::recorder) completeness: Completeness,
    /// Only for a request that declares no call: how another filter translated it.
    pub(in crate::recorder) translated: Option<Translated>,
}

impl Evidence {
    pub(in crate::recorder) fn new(
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

        // A request declared as plain HTTP may be a call: it has a status, or the stream was
        // interrupted before one.
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

    pub(in crate::recorder) fn spoken(&self) -> Spoken {
        if self.translated.is_some() {
            return Spoken::Rather(Protocol::Grpc);
        }

        match (self.claim, self.http_status) {
            (Claim::Http | Claim::Contradictory, _) => Spoken::Certain(Protocol::Http),
            // A JSON error may be one of Connect, or of a service with the same error names. The
            // two cannot be distinguished.
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
            // JSON is the response of a unary Connect call and of many plain requests.
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

    /// The client's RPC protocol. If the request was translated before this filter, the response
    /// shows it.
    pub(in crate::recorder) fn dialect(&self) -> Dialect {
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
            // The Connect bridge uses this content type for requests, and JSON for responses.
            (Claim::Rpc(Wire::GrpcWithCodec), None) if self.has_status && self.is_json => {
                Dialect::Connect
            }
            _ => Dialect::Grpc,
        }
    }

    /// The end of the exchange read as plain HTTP.
    pub(in crate::recorder) fn http(&self, stream: &dyn Stream) -> End {
        let outcome = match self.http_status {
            None => Outcome::Aborted,
            Some(_) if self.is_tunnel => Outcome::Success,
            Some(_) if self.is_broken => Outcome::Aborted,
            Some(status) => self.by_cause(outcome::of_status(status), stream),
        };
        self.end_with(outcome, false, stream)
    }

    /// The end of the exchange read as a call.
    pub(in crate::recorder) fn call(
        &self,
        found: Option<Found>,
        stream: &dyn Stream,
    ) -> (Found, End) {
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

    /// The status that a client derives from a response without one.
    fn status_without_one(&self, stream: &dyn Stream) -> Found {
        let is_unary = self.claim.may_be_unary_connect();
        let ends_in_body = matches!(
            self.wire,
            Some(Wire::GrpcWeb | Wire::GrpcWebText | Wire::ConnectStream)
        );
        let left = self.termination == Termination::Client && !is_unary;
        let (status, source) = match self.http_status {
            None => (Status::MISSING, StatusSource::Reset),
            Some(200) if self.is_broken || left => (Status::MISSING, StatusSource::Reset),
            Some(200) if is_unary => (Status::OK, StatusSource::Http),
            Some(200) if ends_in_body => (Status::MISSING, StatusSource::Unavailable),
            Some(status) => {
                let details = self.completeness.details(stream);
                let by_transcoder = details.and_then(outcome::status_of_transcoder);
                let status = by_transcoder.unwrap_or(Status::from_http(status));
                (status, StatusSource::Http)
            }
        };

        Found {
            status,
            source,
            message: None,
        }
    }

    /// Adjusts the outcome by the reason for which Envoy generated or rewrote the response. A
    /// refusal counts whatever the status; any other cause counts only if the status is a success.
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
        // Without a status, nothing is known about a stream that Envoy lost.
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
    /// Whether the client made Envoy respond in place of the server: by a time limit, an unfinished
    /// request, or an error. The server may have done its work by then.
    fn is_provoked(&self, stream: &dyn Stream) -> bool {
        /// Request Timeout: Envoy's response to a request that does not complete.
        const REQUEST_TIMEOUT: u16 = 408;
        self.is_local
            && self.is_on_path
            && (self.http_status == Some(REQUEST_TIMEOUT)
                || self.has_deadline && self.completeness.is_timeout(stream)
                || self.completeness.is_client_error(stream))
    }
}

/// Over HTTP/3 the headers are no longer available when the stream ends.
fn status_by_property(subject: &Subject, stream: &dyn Stream) -> Option<u16> {
    if !subject.is_quic() {
        return None;
    }
    let number = stream.number(Property::ResponseCode)?;
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
    // An earlier filter responded before this filter was called.
    if subject.start.is_none() && http_status.is_some() {
        return Termination::Complete;
    }

    if is_whole_call(answer, found) {
        return Termination::Complete;
    }

    let termination = completeness.termination(http_status, stream);
    // Envoy's own response to a call has HTTP status 200, also if it replaces another response.
    let is_own = found.is_some_and(|found| found.source == StatusSource::Headers);
    if is_own && termination != Termination::Client {
        return Termination::Complete;
    }

    // Over HTTP/3 Envoy does not report that the client disconnected. Other interruptions are
    // logged with their reason.
    let is_known = termination != Termination::Complete && http_status.is_some();
    let is_cut = http_status.is_none() || answer.was_seen && !answer.is_whole;
    if subject.is_quic() && is_cut && !is_known {
        Termination::Client
    } else {
        termination
    }
}

/// Whether the response opens a tunnel, which completes it (RFC 9110, sections 9.3.6 and 15.2.2).
fn is_tunnel(method: &[u8], http_status: Option<u16>) -> bool {
    match http_status {
        Some(101) => true,
        Some(200..=299) => method == b"CONNECT",
        _ => false,
    }
}
