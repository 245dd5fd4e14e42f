//! The start of an exchange: its candidate rules, the request state that they need, and headers to
//! set.

use std::mem;
use std::rc::Rc;

use super::correlation::Correlation;
use super::exchange::{Audited, Candidate, Exchange, Seen, Subject};
use super::fields::Request;
use super::headers::{Headers, Names};
use super::identity::Claims;
use super::rpc::Claim;
use super::rules::{Readings, RequestHead, Rule};
use super::tracking::set_tracking::SetTracking;
use super::tracking::{Presence, Tracking};
use super::trust::TrustLevel;
use super::uri::path;
use super::{Recorder, Services};
use crate::host::Property;
use crate::stats::Counter;

/// Properties of a request that are known before its rules are.
#[derive(Clone, Copy)]
pub(super) struct RequestContext {
    /// Which of the control and correlation headers it has.
    pub(super) presence: Presence,
    /// Whether the control headers count: the peer is trusted.
    pub(super) trusted: bool,
    /// Whether the request still has to go upstream.
    pub(super) on_request_path: bool,
}

/// A request with at least one candidate rule.
struct Arrival<'r> {
    head: &'r RequestHead<'r>,
    claim: Claim,
    tracking: Tracking,
    context: RequestContext,
}

impl Arrival<'_> {
    /// The control headers set by the gateway role, from the first candidate rule.
    fn gateway_of<'r>(
        &self,
        rule: &'r Rule,
        readings: Readings,
        exchange: &Exchange,
    ) -> Option<&'r SetTracking> {
        let is_first = self.context.on_request_path && !exchange.is_set_by_gateway();
        rule.set_tracking
            .as_ref()
            .filter(|_| is_first && self.claim.expects(readings))
    }
}

impl Recorder {
    /// Finds the rules of a request and returns the headers to set. Control headers of an untrusted
    /// peer count as absent, also in rule conditions. Correlation headers count as absent from any
    /// peer.
    pub(super) fn begin(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        context: RequestContext,
        services: &mut Services<'_>,
    ) -> Vec<(&str, Vec<u8>)> {
        let marked = exchange.begin();
        if !self.settings.enabled {
            return Vec::new();
        }

        let visible = self.visible(headers, context);
        let headers = visible.as_ref().unwrap_or(headers);
        let tracking = match marked {
            Some(tracking) => *tracking,
            None if context.presence.has_control() => {
                Tracking::read(headers, &self.settings.tracking)
            }
            None => Tracking::default(),
        };

        let target = headers.first(":path").unwrap_or_default();
        let path = path::normalize(target);
        let head = request_head(headers, &path, tracking.tracked);
        let mut rules = self.settings.policy.candidates(&head);
        let Some(first) = rules.next() else {
            if tracking.tracked {
                exchange.mark(tracking);
            }
            return Vec::new();
        };
        let claim = Claim::of(&head, target);

        self.begin_with(
            first,
            rules,
            Arrival {
                head: &head,
                claim,
                tracking,
                context,
            },
            exchange,
            services,
        )
    }

    /// The headers without those that count as absent; `None` if all of them count.
    fn visible<'h>(&self, headers: &Headers<'h>, context: RequestContext) -> Option<Headers<'h>> {
        let hidden = context
            .presence
            .hidden(&self.settings.tracking, context.trusted);
        (!hidden.is_empty()).then(|| headers.without(&hidden))
    }

    fn begin_with<'s>(
        &'s self,
        first: (&'s Rc<Rule>, Readings),
        others: impl Iterator<Item = (&'s Rc<Rule>, Readings)>,
        mut arrival: Arrival<'_>,
        exchange: &mut Exchange,
        services: &mut Services<'_>,
    ) -> Vec<(&'s str, Vec<u8>)> {
        let (mut set, mut first_refusal) = (Vec::new(), None);
        let mut candidates = Vec::with_capacity(1);
        for (rule, readings) in std::iter::once(first).chain(others) {
            if let Some(gateway) = arrival.gateway_of(rule, readings, exchange) {
                let (settings, headers) = (&self.settings.tracking, arrival.head.headers);
                set = gateway.headers(settings, headers, services.stream);
                exchange.set_by_gateway();
            }

            match self.settings.refusal(rule, &arrival.tracking) {
                Some(counter) => first_refusal = first_refusal.or(Some(counter)),
                None => candidates.push(self.candidate(
                    rule,
                    readings,
                    &mut arrival,
                    exchange,
                    services,
                )),
            }
        }

        if candidates.is_empty() || self.is_own_batch(arrival.head, exchange, services) {
            services
                .stats
                .add(first_refusal.unwrap_or(Counter::Excluded), 1);
            return set;
        }

        let audited = self.audited(candidates, &mut arrival, exchange, services);
        if let Some(pair) = audited.subject.correlation {
            set.extend(self.correlation_headers(pair));
        }

        exchange.audit(audited);
        set
    }

    fn candidate(
        &self,
        rule: &Rc<Rule>,
        readings: Readings,
        arrival: &mut Arrival<'_>,
        exchange: &mut Exchange,
        services: &mut Services<'_>,
    ) -> Candidate {
        let headers = arrival.head.headers;
        let claims = self.claims(rule, exchange, headers, services);

        arrival.tracking.conflict |= claims.as_ref().is_some_and(|claims| claims.conflict);
        arrival.tracking.conflict |= rule
            .set_tracking
            .as_ref()
            .is_some_and(|gateway| gateway.conflicts(headers));

        Candidate {
            rule: Rc::clone(rule),
            readings,
            claims: claims.unwrap_or_default(),
            captured: rule.capture.of_request(headers),
        }
    }

    /// The request state kept until its end. A request that does not go upstream gets no
    /// correlation pair.
    fn audited(
        &self,
        candidates: Vec<Candidate>,
        arrival: &mut Arrival<'_>,
        exchange: &mut Exchange,
        services: &mut Services<'_>,
    ) -> Box<Audited> {
        let Arrival {
            head,
            claim,
            tracking,
            context,
        } = arrival;
        let claim = *claim;
        let (fresh_id, stream) = (services.fresh_id, services.stream);
        let start = context.on_request_path.then(|| (services.clock)());
        let correlates = candidates
            .iter()
            .any(|candidate| claim.expects(candidate.readings) && candidate.rule.correlate);
        let correlation = if correlates && context.on_request_path {
            services.correlator.next(&mut || fresh_id())
        } else {
            None
        };

        let id = exchange.connection(stream);
        let protocol = || stream.property(Property::Protocol);
        let version = self.connections.version(id, protocol);
        let (session, conflict) = self.settings.session.read(head.headers);
        tracking.conflict |= conflict;

        Box::new(Audited {
            subject: Subject {
                candidates,
                claim,
                start,
                has_deadline: has_deadline(head.headers),
                tracking: mem::take(tracking),
                request: Request::read(head),
                session,
                correlation,
                version,
                started_number: None,
            },
            seen: Seen::default(),
            slot: None,
        })
    }

    /// Whether the request is a batch of a filter of this deployment. Recording it would cause
    /// another batch.
    fn is_own_batch(
        &self,
        head: &RequestHead<'_>,
        exchange: &mut Exchange,
        services: &mut Services<'_>,
    ) -> bool {
        let own_batch = &self.settings.own_batch;
        if !own_batch.resembles(head) {
            return false;
        }

        let is_own = match own_batch.is_proven(head.headers) {
            Some(is_proven) => is_proven,
            None => self.trust_level(exchange, services.stream) == TrustLevel::Trusted,
        };
        if !is_own {
            services.stats.note_unproven_batch();
        }

        is_own
    }

    /// The identity claims in the request headers, if the peer is trusted.
    fn claims(
        &self,
        rule: &Rule,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        services: &mut Services<'_>,
    ) -> Option<Claims> {
        let count = rule.identity.count_claims(headers);
        if count == 0 || !self.are_trusted(exchange, count, services) {
            return None;
        }
        Some(rule.identity.claims(headers))
    }

    pub(super) fn correlation_headers(&self, pair: Correlation) -> [(&str, Vec<u8>); 2] {
        let [session_id, sequence] = &self.settings.tracking.correlation_headers;
        let number = itoa::Buffer::new().format(pair.number).as_bytes().to_vec();
        [
            (session_id, pair.session_id.to_string().into_bytes()),
            (sequence, number),
        ]
    }
}

/// Whether the request has a header with which a client can limit Envoy's waiting time (Envoy
/// `source/common/router/router.cc`, `FilterUtility::finalTimeout` and `setTimeoutHeaders`).
/// `grpc-timeout` also counts for plain requests, if a route limits it.
fn has_deadline(headers: &Headers<'_>) -> bool {
    const NAMES: Names<5> = Names::new([
        "grpc-timeout",
        "x-envoy-expected-rq-timeout-ms",
        "x-envoy-upstream-rq-per-try-timeout-ms",
        "x-envoy-upstream-rq-timeout-ms",
        "x-envoy-upstream-stream-duration-ms",
    ]);
    headers.which(&NAMES).contains(&true)
}

fn request_head<'r>(headers: &'r Headers<'r>, path: &'r [u8], tracked: bool) -> RequestHead<'r> {
    RequestHead {
        headers,
        method: headers.first(":method").unwrap_or_default(),
        path,
        authority: headers.first(":authority").unwrap_or_default(),
        tracked,
    }
}
