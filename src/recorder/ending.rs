//! How an exchange ended, and which rule decides about it: for what was spoken, as far as that is known.

use super::answer::{Answer, status_at_the_end};
use super::completeness::Completeness;
use super::evidence::{Evidence, Spoken};
use super::exchange::{Candidate, Subject};
use super::policy::End;
use super::rpc::{Claim, Found};
use crate::host::Stream;
use crate::record::{Outcome, Protocol, Termination};

/// How one exchange ended, before it is known whether a record is wanted.
pub(super) struct Ending {
    pub(super) evidence: Evidence,
    spoken: Spoken,
    /// Read as plain HTTP, where it may have been.
    http: Option<End>,
    /// Read as a call, where it may have been one, with its status.
    call: Option<(Found, End)>,
}

impl Ending {
    pub(super) fn read(
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

    /// Whether the answer came to its end, as far as the server and Envoy are concerned.
    pub(super) fn is_whole(&self) -> bool {
        let is_aborted = self.http.is_some_and(|end| end.outcome == Outcome::Aborted);
        !is_aborted && self.evidence.termination == Termination::Complete
    }

    /// The place of the candidate that decides, and how the exchange is read for it. `None`: no candidate wants a record.
    ///
    /// The end of an exchange is always wanted when there is a record that it had started.
    pub(super) fn choose(&self, subject: &Subject) -> Option<(usize, Protocol)> {
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

    /// The first candidate that is for what was spoken and passes the test.
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
        let other = |protocol| {
            if protocol == Protocol::Http {
                Protocol::Grpc
            } else {
                Protocol::Http
            }
        };
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
        let is_http = matches!(
            self.spoken,
            Spoken::Certain(Protocol::Http) | Spoken::Rather(Protocol::Http)
        );
        claim == Claim::Contradictory || claim.is_rpc() && is_http
    }

    /// The end of the exchange read so; `None` where it was surely something else.
    pub(super) fn end(&self, protocol: Protocol) -> Option<&End> {
        match protocol {
            Protocol::Http => self.http.as_ref(),
            Protocol::Grpc => self.call.as_ref().map(|(_, end)| end),
        }
    }

    /// Takes the status of the call that it was.
    pub(super) fn take_status(&mut self) -> Option<Found> {
        self.call.take().map(|(status, _)| status)
    }
}
