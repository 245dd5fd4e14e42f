//! Shows which rules a request matches and why others do not, for authors of a configuration.

use std::rc::Rc;

use super::{Conditions, RequestHead, Rule};
use crate::record::Protocol;
use crate::recorder::RecorderSettings;
use crate::recorder::headers::Headers;
use crate::recorder::tracking::{Presence, Tracking};
use crate::recorder::uri::path;
use crate::stats::Counter;

/// An example request of a trusted peer.
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
        /// Whether the rule records.
        effect: Effect,
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
    /// It decides about ends that an earlier rule does not record, since the request is tracked.
    Follows,
}

/// What becomes of an exchange that a rule decides about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is recorded, depending on its end.
    Records,
    /// It is not: `level: none`.
    Excludes,
    /// It is not, and the next hop gets control headers: `set_tracking`.
    SetsTracking,
    /// It is not, since a tracked request has no context (`tracking.on_empty_context: skip`).
    SkipsEmptyContext,
}

/// One finding per rule, in their order; `None` for a batch of this filter, which is not recorded.
#[must_use]
pub fn findings(settings: &RecorderSettings, request: &Request) -> Option<Vec<Finding>> {
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
    let received: Headers<'_> = own.chain(others).collect();

    // As in a request: correlation headers count as absent.
    let presence = Presence::of(&received, &settings.tracking.names());
    let headers = received.without(&presence.hidden(&settings.tracking, true));
    let tracking = Tracking::read(&headers, &settings.tracking);

    let path = path::normalize(request.target.as_bytes());
    let head = RequestHead {
        headers: &headers,
        method: request.method.as_bytes(),
        path: &path,
        authority: request.authority.as_bytes(),
        tracked: tracking.tracked,
    };
    let own_batch = &settings.own_batch;
    let proof = own_batch.is_proven(&headers);
    let is_proven = proof.unwrap_or(settings.trust.names_any());
    if own_batch.resembles(&head) && is_proven {
        return None;
    }

    Some(of_rules(settings, &head, &tracking))
}

fn of_rules(
    settings: &RecorderSettings,
    head: &RequestHead<'_>,
    tracking: &Tracking,
) -> Vec<Finding> {
    let candidates: Vec<_> = settings.policy.candidates(head).collect();
    let (mut kept_http, mut kept_grpc) = (false, false);

    let finding = |rule: &Rc<Rule>| {
        let Some((_, readings)) = candidates
            .iter()
            .find(|(candidate, _)| Rc::ptr_eq(candidate, rule))
        else {
            return missed(rule, head);
        };

        let effect = effect(settings, rule, tracking);
        let part = |protocol: Protocol, kept: &mut bool| {
            if !readings.has(protocol) {
                return Part::Unconcerned;
            }
            let follows = *kept;
            // A rule that records nothing leaves every end to the next one, if it does not decide.
            *kept |= effect == Effect::Records;
            if follows {
                Part::Follows
            } else {
                Part::Decides
            }
        };
        Finding::Met {
            http: part(Protocol::Http, &mut kept_http),
            grpc: part(Protocol::Grpc, &mut kept_grpc),
            effect,
        }
    };
    settings.policy.iter().map(finding).collect()
}

fn effect(settings: &RecorderSettings, rule: &Rule, tracking: &Tracking) -> Effect {
    match settings.refusal(rule, tracking) {
        None => Effect::Records,
        Some(Counter::SkippedEmptyContext) => Effect::SkipsEmptyContext,
        Some(_) if rule.set_tracking.is_some() => Effect::SetsTracking,
        Some(_) => Effect::Excludes,
    }
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
