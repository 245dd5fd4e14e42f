//! How an exchange ended, and which rule decides about it, as far as the protocol is known.

use super::answer::{Answer, status_at_the_end};
use super::completeness::Completeness;
use super::evidence::{Evidence, Spoken};
use crate::host::Stream;
use crate::record::{Outcome, Protocol, Termination};
use crate::recorder::exchange::{Candidate, Subject};
use crate::recorder::rpc::{Claim, Found};
use crate::recorder::rules::End;

/// End of one exchange, before it is known whether a record is wanted.
pub(in crate::recorder) struct Ending {
    pub(in crate::recorder) evidence: Evidence,
    spoken: Spoken,
    /// Read as plain HTTP, unless it was certainly gRPC.
    http: Option<End>,
    /// Read as a call with its status, unless it was certainly HTTP.
    call: Option<(Found, End)>,
}

impl Ending {
    pub(in crate::recorder) fn read(
        subject: &Subject,
        mut answer: Answer<'_>,
        completeness: Completeness,
        stream: &dyn Stream,
    ) -> Self {
        let found = answer
            .status
            .take()
            .or_else(|| status_at_the_end(&answer, stream));
        let evidence = Evidence::new(subject, &answer, found.as_ref(), completeness, stream);
        let spoken = evidence.spoken();
        let is_call = spoken == Spoken::Certain(Protocol::Grpc);
        let is_http = spoken == Spoken::Certain(Protocol::Http);
        let call = (!is_http).then(|| evidence.call(found, stream));
        let http = (!is_call).then(|| evidence.http(stream));

        Self {
            evidence,
            spoken,
            http,
            call,
        }
    }

    /// Whether the response is complete, as seen by the server and Envoy.
    pub(in crate::recorder) fn is_whole(&self) -> bool {
        let is_aborted = self.http.is_some_and(|end| end.outcome == Outcome::Aborted);
        !is_aborted && self.evidence.termination == Termination::Complete
    }

    /// Index of the deciding candidate, and the protocol by which the exchange is read for it.
    /// `None`: no candidate wants a record.
    ///
    /// An exchange with a "started" record always gets one of its end.
    pub(in crate::recorder) fn choose(&self, subject: &Subject) -> Option<(usize, Protocol)> {
        let wants = |candidate: &Candidate, protocol| {
            self.end(protocol)
                .is_some_and(|end| candidate.rule.wants(protocol, end))
        };
        let found = self.first(subject, wants);
        let is_owed = found.is_none() && subject.started_number.is_some();

        if is_owed {
            self.first(subject, |_, _| true)
        } else {
            found
        }
    }

    /// The first candidate for the protocol used that passes the test.
    fn first(
        &self,
        subject: &Subject,
        test: impl Fn(&Candidate, Protocol) -> bool,
    ) -> Option<(usize, Protocol)> {
        let of = |protocol| {
            let passes = |candidate: &Candidate| {
                candidate.readings.has(protocol) && test(candidate, protocol)
            };
            subject
                .candidates
                .iter()
                .position(passes)
                .map(|place| (place, protocol))
        };

        match self.spoken {
            Spoken::Certain(protocol) => of(protocol),
            Spoken::Rather(protocol) => of(protocol).or_else(|| of(protocol.other())),
            // The earlier rule decides. A rule for both protocols uses the one that the request
            // declares.
            Spoken::Unknown => {
                let claimed = subject.claim.protocol();
                let found = [of(claimed), of(claimed.other())].into_iter().flatten();
                found.min_by_key(|(place, _)| *place)
            }
        }
    }

    /// Whether the response is not of the protocol that the request declares, or the declaration is
    /// contradictory.
    pub(in crate::recorder) fn belies(&self, claim: Claim) -> bool {
        let is_http = matches!(
            self.spoken,
            Spoken::Certain(Protocol::Http) | Spoken::Rather(Protocol::Http)
        );
        claim == Claim::Contradictory || claim.is_rpc() && is_http
    }

    /// The end of the exchange read as this protocol; `None` if it was certainly another one.
    pub(in crate::recorder) fn end(&self, protocol: Protocol) -> Option<&End> {
        match protocol {
            Protocol::Http => self.http.as_ref(),
            Protocol::Grpc => self.call.as_ref().map(|(_, end)| end),
        }
    }

    /// Takes the call's status.
    pub(in crate::recorder) fn take_status(&mut self) -> Option<Found> {
        self.call.take().map(|(status, _)| status)
    }
}
