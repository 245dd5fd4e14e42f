//! Why an attempt was not acknowledged, as far as Envoy shows it, and the remedy for an operator.
//!
//! Observed on 1.36.4 and 1.40.0, with one difference: 1.36.4 adds the transport's error text to
//! the body of an answer without a connection. "Envoy 503" is an answer that Envoy has made.
//!
//! | cause | return code | answer |
//! |---|---|---|
//! | cluster unknown | 2 | none |
//! | no host: none configured, none resolved or discovered yet, none healthy | 10 | none |
//! | breaker full: `max_pending_requests`, or `max_requests` with a connection | 10 | none |
//! | breaker full: `max_requests` during connect | 0 | Envoy 503, `reset reason: overflow` |
//! | connection refused or timed out | 0 | Envoy 503, e.g. `remote connection failure` |
//! | closed before an answer | 0 | Envoy 503, `connection termination` |
//! | no answer in time | 0 | Envoy 504 |
//! | closed in the answer | 0 | no headers |
//!
//! An answer of Envoy has no `x-envoy-upstream-service-time`. A host's answer always has it, also
//! that of a proxy in front of the collector.

use super::answer::Answer;
use super::notices::Kind;
use super::trial::Blame;

/// Why Envoy refused a callout at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has no cluster of this name.
    UnknownCluster,
    /// It has no healthy host in the cluster, or a circuit breaker of the cluster is full.
    NotTaken,
}

/// Why an attempt was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    UnknownCluster,
    NoHost,
    Overflow,
    NoConnection,
    /// The connection broke before the answer, or in it.
    Broken,
    /// No answer in time.
    NoAnswer,
    /// An answer of the audit cluster's.
    Status(u16),
}

impl Trouble {
    /// With `in_flight`, another callout of this worker was accepted, so the cluster has a host.
    pub(super) fn of_refusal(refusal: Refusal, in_flight: bool) -> Self {
        match refusal {
            Refusal::UnknownCluster => Self::UnknownCluster,
            Refusal::NotTaken if in_flight => Self::Overflow,
            Refusal::NotTaken => Self::NoHost,
        }
    }

    pub(super) fn of_answer(answer: &Answer<'_>) -> Self {
        match answer.status {
            None => Self::Broken,
            Some(504) if answer.is_of_envoy => Self::NoAnswer,
            Some(503) if answer.is_of_envoy => Self::of_reset(answer.body),
            Some(status) => Self::Status(status),
        }
    }

    /// Reads the reset reason in the body (Envoy `source/common/http/utility.cc`,
    /// `resetReasonToString`).
    fn of_reset(body: &[u8]) -> Self {
        let reasons = [
            ("reset reason: overflow", Self::Overflow),
            ("connection failure", Self::NoConnection),
            ("connection timeout", Self::NoConnection),
            ("reset reason: ", Self::Broken),
        ];
        let is_in_body = |words: &str| {
            body.windows(words.len())
                .any(|window| window == words.as_bytes())
        };
        let found = reasons.into_iter().find(|(words, _)| is_in_body(words));

        found.map_or(Self::Status(503), |(_, trouble)| trouble)
    }

    /// The cause, where it is known: a callout that reaches no host is not the fault of its batch.
    pub(super) fn blame(self) -> Option<Blame> {
        match self {
            Self::UnknownCluster | Self::NoHost | Self::Overflow | Self::NoConnection => {
                Some(Blame::Load)
            }
            Self::Broken | Self::NoAnswer | Self::Status(_) => None,
        }
    }

    /// The kind of log line: causes with different remedies have different kinds.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::UnknownCluster => Kind::UnknownCluster,
            Self::NoHost => Kind::NoHost,
            Self::Overflow => Kind::Overflow,
            Self::NoConnection => Kind::NoConnection,
            Self::Broken | Self::NoAnswer | Self::Status(_) => Kind::Failing,
        }
    }

    /// The cause and its remedy.
    pub(super) fn text(self, cluster: &str) -> String {
        let (before, after) = match self {
            Self::UnknownCluster => ("Envoy has no cluster ", UNKNOWN_CLUSTER),
            Self::NoHost => ("Envoy has no healthy host in cluster ", NO_HOST),
            Self::Overflow => ("a circuit breaker is full in cluster ", OVERFLOW),
            Self::NoConnection => ("no connection to a host of cluster ", NO_CONNECTION),
            Self::Broken => return "the connection broke".to_owned(),
            Self::NoAnswer => return "no answer within audit_cluster.timeout".to_owned(),
            Self::Status(status) => return format!("status {status}"),
        };

        [before, cluster, after].concat()
    }
}

const UNKNOWN_CLUSTER: &str = ": set audit_cluster.cluster to a name in Envoy's /clusters; in Istio the proxy must see the \
    service (Sidecar egress, exportTo; waypoints and gateways: the annotation envoyfilter.istio.io/referenced-services)";
const NO_HOST: &str = ", or a circuit breaker is full: start the collector, or mend its name or health check, if \
    membership_healthy of the cluster is 0 in /stats; else raise max_requests and max_pending_requests";
const OVERFLOW: &str = ": raise max_requests, max_pending_requests and max_connections to 20 for each worker (Istio: \
    connectionPool of a DestinationRule)";
const NO_CONNECTION: &str =
    ": start the collector, or mend its address, TLS, or the policies on the way";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: Option<u16>, is_of_envoy: bool, body: &str, expected: Trouble) {
        let answer = Answer {
            status,
            is_of_envoy,
            body: body.as_bytes(),
            ..Answer::default()
        };
        assert_eq!(Trouble::of_answer(&answer), expected, "{status:?} {body}");
    }

    #[test]
    fn the_body_of_envoys_answer_distinguishes_causes() {
        const START: &str = "upstream connect error or disconnect/reset before headers. ";
        for (end, expected) in [
            ("reset reason: overflow", Trouble::Overflow),
            (
                "retried and the latest reset reason: overflow",
                Trouble::Overflow,
            ),
            (
                "reset reason: remote connection failure",
                Trouble::NoConnection,
            ),
            (
                "reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused",
                Trouble::NoConnection,
            ),
            (
                "reset reason: local connection failure",
                Trouble::NoConnection,
            ),
            ("reset reason: connection timeout", Trouble::NoConnection),
            ("reset reason: connection termination", Trouble::Broken),
            ("reset reason: remote reset", Trouble::Broken),
            ("reset reason: protocol error", Trouble::Broken),
        ] {
            check(Some(503), true, &format!("{START}{end}"), expected);
            check(
                Some(503),
                false,
                &format!("{START}{end}"),
                Trouble::Status(503),
            );
        }

        check(Some(503), true, "", Trouble::Status(503));
        check(
            Some(504),
            true,
            "upstream request timeout",
            Trouble::NoAnswer,
        );
        check(
            Some(504),
            false,
            "upstream request timeout",
            Trouble::Status(504),
        );
        check(
            Some(500),
            true,
            "reset reason: overflow",
            Trouble::Status(500),
        );
        check(None, false, "", Trouble::Broken);
    }

    #[test]
    fn a_callout_on_its_way_shows_that_there_is_a_host() {
        for in_flight in [false, true] {
            assert_eq!(
                Trouble::of_refusal(Refusal::UnknownCluster, in_flight),
                Trouble::UnknownCluster
            );
        }

        assert_eq!(
            Trouble::of_refusal(Refusal::NotTaken, false),
            Trouble::NoHost
        );
        assert_eq!(
            Trouble::of_refusal(Refusal::NotTaken, true),
            Trouble::Overflow
        );
    }
}
