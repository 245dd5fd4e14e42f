//! Shows which rules a request matches and why others do not, for authors of a configuration.

use std::rc::Rc;

use super::headers::Headers;
use super::path;
use super::policy::{Conditions, Policy, RequestHead, Rule};
use crate::record::Protocol;

/// An example request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `:method`
    pub method: String,
    /// The request target: path and query.
    pub target: String,
    /// `:authority`
    pub authority: String,
    /// Other headers, in lower case.
    pub headers: Vec<(String, String)>,
    /// A trusted peer has marked it as tracked.
    pub tracked: bool,
}

/// Result of one rule for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The rule matches; the parts depend on the protocol of the exchange.
    Met {
        /// If it is not gRPC.
        http: Part,
        /// If it is gRPC.
        grpc: Part,
    },
    /// An earlier rule decides.
    Covered,
    /// The rule has level none, and an upstream may read the request in another way.
    Ambiguous,
    /// Key of the first condition that does not hold.
    Differs(&'static str),
}

/// What a rule does for one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Nothing: an earlier rule decides, or this rule is for the other protocol.
    Unconcerned,
    /// It decides.
    Decides,
    /// It records ends that an earlier rule does not, since the request is tracked.
    Follows,
}

/// One finding per rule, in their order.
#[must_use]
pub fn findings(policy: &Policy, request: &Request) -> Vec<Finding> {
    let own = [
        (":method", &request.method),
        (":path", &request.target),
        (":authority", &request.authority),
    ];
    let own = own
        .into_iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let others = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let headers: Headers<'_> = own.chain(others).collect();
    let path = path::normalize(request.target.as_bytes());
    let head = RequestHead {
        headers: &headers,
        method: request.method.as_bytes(),
        path: &path,
        authority: request.authority.as_bytes(),
        tracked: request.tracked,
    };

    let candidates: Vec<_> = policy.candidates(&head).collect();
    let (mut seen_http, mut seen_grpc) = (false, false);
    let finding = |rule: &Rc<Rule>| {
        let Some((_, readings)) = candidates
            .iter()
            .find(|(candidate, _)| Rc::ptr_eq(candidate, rule))
        else {
            return missed(rule, &head);
        };
        let part = |protocol: Protocol, seen: &mut bool| match (readings.has(protocol), *seen) {
            (false, _) => Part::Unconcerned,
            (true, true) => Part::Follows,
            (true, false) => {
                *seen = true;
                Part::Decides
            }
        };
        Finding::Met {
            http: part(Protocol::Http, &mut seen_http),
            grpc: part(Protocol::Grpc, &mut seen_grpc),
        }
    };

    policy.iter().map(finding).collect()
}

fn missed(rule: &Rule, head: &RequestHead<'_>) -> Finding {
    match rule.conditions.differing(head) {
        Some(key) => Finding::Differs(key),
        None if !rule.matches(head) => Finding::Ambiguous,
        None => Finding::Covered,
    }
}

impl Conditions {
    /// The first condition that does not hold.
    fn differing(&self, head: &RequestHead<'_>) -> Option<&'static str> {
        let all = || Self {
            protocol: self.protocol,
            ..Self::default()
        };

        let parts = [
            (
                "match.tracked",
                Self {
                    tracked: self.tracked,
                    ..all()
                },
            ),
            (
                "match.methods",
                Self {
                    methods: self.methods.clone(),
                    ..all()
                },
            ),
            (
                "match.path",
                Self {
                    path: self.path.clone(),
                    ..all()
                },
            ),
            (
                "match.hosts",
                Self {
                    hosts: self.hosts.clone(),
                    ..all()
                },
            ),
            (
                "match.headers",
                Self {
                    headers: self.headers.clone(),
                    ..all()
                },
            ),
        ];

        parts
            .into_iter()
            .find(|(_, part)| !part.hold(head))
            .map(|(key, _)| key)
    }
}
