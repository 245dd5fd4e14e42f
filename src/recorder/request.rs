//! The start of an exchange: the trust decision, headers to remove and set, and the candidate
//! rules.

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
use super::trust::{Judgement, Verdict};
use super::uri::path;
use super::{Host, Recorder};
use crate::host::{Property, Stream};
use crate::stats::{Counter, Stats};

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
    /// Which of the names are present, and whether the peer may use them. The peer is checked only
    /// if a control header is present.
    pub(super) fn judge(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        host: &mut Host<'_>,
    ) -> (Presence, bool) {
        let presence = Presence::of(headers, &self.tracking_names);

        (
            presence,
            self.is_believed(exchange, presence.control_count(), host),
        )
    }

    /// Whether `count` headers count that only a trusted peer may send. The peer is checked at most
    /// once per exchange.
    fn is_believed(&self, exchange: &mut Exchange, count: u64, host: &mut Host<'_>) -> bool {
        if count == 0 {
            return true;
        }
        let trusted = self.verdict(exchange, host.stream) == Verdict::Trusted;
        if !trusted {
            host.stats.add(Counter::HeadersSpoofed, count);
        }
        trusted
    }

    /// If another request of the connection was checked, the only host call is for the connection's
    /// number.
    fn verdict(&self, exchange: &mut Exchange, stream: &dyn Stream) -> Verdict {
        if let Some(verdict) = exchange.verdict() {
            return verdict;
        }

        let id = exchange.connection(stream);
        let protocol = || stream.property(Property::Protocol);
        let verdict = self
            .connections
            .verdict(id, || self.judge_peer(stream), protocol);

        exchange.judge(verdict);
        verdict
    }

    fn judge_peer(&self, stream: &dyn Stream) -> (Verdict, bool) {
        let Judgement {
            verdict,
            lasts,
            peer,
        } = self.settings.trust.judge(stream);
        if let Some(peer) = peer.filter(|_| verdict != Verdict::Trusted) {
            self.distrust.note(peer);
        }
        (verdict, lasts)
    }

    pub(super) fn removals(
        &self,
        presence: Presence,
        trusted: bool,
        stats: &mut Stats,
    ) -> Vec<&str> {
        let remove = presence.to_remove(&self.settings.tracking, trusted);
        stats.add(Counter::HeadersStripped, remove.len() as u64);
        remove
    }

    /// Finds the rules of a request and returns the headers to set. Control headers of an untrusted
    /// peer count as absent, also in rule conditions. Correlation headers count as absent from any
    /// peer.
    pub(super) fn begin(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        context: RequestContext,
        host: &mut Host<'_>,
    ) -> Vec<(&str, Vec<u8>)> {
        exchange.begin();
        if !self.settings.enabled {
            return Vec::new();
        }

        let settings = &self.settings.tracking;
        let hidden = context.presence.hidden(settings, context.trusted);
        let visible = (!hidden.is_empty()).then(|| headers.without(&hidden));
        let headers = visible.as_ref().unwrap_or(headers);
        let tracking = match exchange.take_mark() {
            Some(marked) => *marked,
            None if context.presence.has_control() => Tracking::read(headers, settings),
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
            host,
        )
    }

    fn begin_with<'s>(
        &'s self,
        first: (&'s Rc<Rule>, Readings),
        others: impl Iterator<Item = (&'s Rc<Rule>, Readings)>,
        mut arrival: Arrival<'_>,
        exchange: &mut Exchange,
        host: &mut Host<'_>,
    ) -> Vec<(&'s str, Vec<u8>)> {
        let (mut set, mut first_refusal) = (Vec::new(), None);
        let mut candidates = Vec::with_capacity(1);
        for (rule, readings) in std::iter::once(first).chain(others) {
            if let Some(gateway) = arrival.gateway_of(rule, readings, exchange) {
                exchange.set_by_gateway();
                set = gateway.headers(&self.settings.tracking, arrival.head.headers, host.stream);
            }
            match self.settings.refusal(rule, &arrival.tracking) {
                Some(counter) => first_refusal = first_refusal.or(Some(counter)),
                None => {
                    candidates.push(self.candidate(rule, readings, &mut arrival, exchange, host))
                }
            }
        }

        if candidates.is_empty() || self.is_own_batch(arrival.head, exchange, host) {
            host.stats
                .add(first_refusal.unwrap_or(Counter::Excluded), 1);
            return set;
        }

        let audited = self.audited(candidates, &mut arrival, exchange, host);
        set.extend(
            audited
                .subject
                .correlation
                .into_iter()
                .flat_map(|pair| self.correlation_headers(pair)),
        );
        exchange.audit(audited);
        set
    }

    fn candidate(
        &self,
        rule: &Rc<Rule>,
        readings: Readings,
        arrival: &mut Arrival<'_>,
        exchange: &mut Exchange,
        host: &mut Host<'_>,
    ) -> Candidate {
        let headers = arrival.head.headers;
        let claims = self.claims(rule, exchange, headers, host);

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
        host: &mut Host<'_>,
    ) -> Box<Audited> {
        let Arrival {
            head,
            claim,
            tracking,
            context,
        } = arrival;
        let claim = *claim;
        let (fresh_id, stream) = (host.fresh_id, host.stream);
        let start = context.on_request_path.then(|| (host.clock)());
        let correlates = candidates
            .iter()
            .any(|candidate| claim.expects(candidate.readings) && candidate.rule.correlate);
        let correlates = correlates && context.on_request_path;
        let id = exchange.connection(stream);
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
                correlation: if correlates {
                    host.correlator.next(&mut || fresh_id())
                } else {
                    None
                },
                version: self
                    .connections
                    .version(id, || stream.property(Property::Protocol)),
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
        host: &mut Host<'_>,
    ) -> bool {
        let own_batch = &self.settings.own_batch;
        if !own_batch.resembles(head) {
            return false;
        }

        let comes_from_trusted = || self.verdict(exchange, host.stream) == Verdict::Trusted;
        let is_own = own_batch
            .is_proven(head.headers)
            .unwrap_or_else(comes_from_trusted);
        if !is_own {
            host.stats.note_unproven_batch();
        }

        is_own
    }

    /// The identity claims in the request headers, if the peer is trusted.
    fn claims(
        &self,
        rule: &Rule,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        host: &mut Host<'_>,
    ) -> Option<Claims> {
        let count = rule.identity.count_claims(headers);
        let counts = count > 0 && self.is_believed(exchange, count, host);
        counts.then(|| rule.identity.claims(headers))
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
