//! The beginning of an exchange: whether the peer is believed, what is removed and set, and which rule may want a record.

use std::rc::Rc;

use super::correlation::Correlation;
use super::exchange::{Audited, Exchange, Request};
use super::headers::Headers;
use super::identity::Claims;
use super::policy::{self, RequestHead, Rule};
use super::tracking::{Presence, Tracking};
use super::trust::Verdict;
use super::{Host, Recorder, grpc, path};
use crate::host::{Property, Stream};
use crate::record::Protocol;
use crate::stats::{Counter, Stats};

/// What is known of a request before its rule is.
#[derive(Clone, Copy)]
pub(super) struct Sighting {
    /// Which of the control and correlation headers it has.
    pub(super) presence: Presence,
    /// Whether its control headers count.
    pub(super) trusted: bool,
    /// Whether it is still to go upstream.
    pub(super) seen: bool,
}

impl Recorder {
    /// What of the names is there, and whether the peer may use them. The peer is judged only when a control header
    /// asks for it.
    pub(super) fn judge(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        host: &mut Host<'_>,
    ) -> (Presence, bool) {
        let presence = Presence::of(headers, &self.settings.tracking);
        (presence, self.is_believed(exchange, presence.control_count(), host))
    }

    /// Whether this many headers count that only a trusted peer may use. The peer is judged at most once per exchange.
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

    /// Asks no more than the connection's number where another of its requests was judged.
    fn verdict(&self, exchange: &mut Exchange, stream: &dyn Stream) -> Verdict {
        if let Some(verdict) = exchange.verdict() {
            return verdict;
        }
        let id = exchange.connection(stream);
        let protocol = || stream.property(Property::Protocol);
        let verdict = self.connections.verdict(id, || self.settings.trust.judge(stream), protocol);
        exchange.judge(verdict);
        verdict
    }

    pub(super) fn removals(&self, presence: Presence, trusted: bool, stats: &mut Stats) -> Vec<&str> {
        let remove = presence.to_remove(&self.settings.tracking, trusted);
        stats.add(Counter::HeadersStripped, remove.len() as u64);
        remove
    }

    /// Finds the rule of a request and yields the headers to set. The control headers of a peer that is not trusted
    /// count as absent, also for the conditions of rules, and so do the correlation headers of anybody.
    pub(super) fn begin(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        sighting: Sighting,
        host: &mut Host<'_>,
    ) -> Vec<(&str, Vec<u8>)> {
        exchange.begin();
        if !self.settings.enabled {
            return Vec::new();
        }
        let settings = &self.settings.tracking;
        let hidden = sighting.presence.hidden(settings, sighting.trusted);
        let visible = (!hidden.is_empty()).then(|| headers.without(&hidden));
        let headers = visible.as_ref().unwrap_or(headers);
        let mut tracking =
            if sighting.presence.has_control() { Tracking::read(headers, settings) } else { Tracking::default() };
        let path = path::normalize(headers.first(":path").unwrap_or_default());
        let head = request_head(headers, &path, tracking.tracked);
        let Some(rule) = policy::first_match(&self.settings.policy, &head) else { return Vec::new() };
        let mut set = match &rule.set_tracking {
            Some(gateway) if sighting.seen => {
                exchange.speak_for();
                gateway.headers(settings, headers, host.stream)
            }
            _ => Vec::new(),
        };
        if let Some(counter) = self.refusal(rule, &tracking) {
            host.stats.add(counter, 1);
            return set;
        }
        let claims = self.claims(rule, exchange, headers, host);
        tracking.conflict |= claims.is_some() && rule.identity.claims_conflict(headers);
        let audited = self.audited(rule, &head, tracking, claims.unwrap_or_default(), sighting.seen, host);
        set.extend(audited.correlation.into_iter().flat_map(|pair| self.correlation_headers(pair)));
        exchange.audit(audited);
        set
    }

    /// What is kept of a request until its end. One that is not `seen` before its end goes nowhere: no pair names it.
    fn audited(
        &self,
        rule: &Rc<Rule>,
        head: &RequestHead<'_>,
        tracking: Tracking,
        claims: Claims,
        seen: bool,
        host: &mut Host<'_>,
    ) -> Audited {
        let fresh_id = host.fresh_id;
        Audited {
            rule: Rc::clone(rule),
            start: seen.then(|| (host.clock)()),
            tracking,
            request: Request::read(head),
            session: self.settings.session.read(head.headers),
            begun: None,
            claims,
            captured: rule.capture.of_request(head.headers),
            correlation: (seen && rule.correlate).then(|| host.correlator.next(&mut || fresh_id())).flatten(),
        }
    }

    /// The reasons to record nothing that are known before the exchange has ended.
    fn refusal(&self, rule: &Rule, tracking: &Tracking) -> Option<Counter> {
        if !rule.recorded {
            return Some(Counter::Excluded);
        }
        let is_empty = rule.is_triggered_by_tracking() && tracking.context.is_none();
        (is_empty && !self.settings.tracking.record_empty_context).then_some(Counter::SkippedEmptyContext)
    }

    /// What the request says of its user, if it says anything and the peer may say so.
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

    fn correlation_headers(&self, pair: Correlation) -> [(&str, Vec<u8>); 2] {
        let [session_id, sequence] = &self.settings.tracking.correlation_headers;
        let number = itoa::Buffer::new().format(pair.number).as_bytes().to_vec();
        [(session_id, pair.session_id.to_string().into_bytes()), (sequence, number)]
    }
}

fn request_head<'r>(headers: &'r Headers<'r>, path: &'r [u8], tracked: bool) -> RequestHead<'r> {
    let is_grpc = grpc::is_grpc(headers.first("content-type"));
    RequestHead {
        headers,
        method: headers.first(":method").unwrap_or_default(),
        path,
        authority: headers.first(":authority").unwrap_or_default(),
        protocol: if is_grpc { Protocol::Grpc } else { Protocol::Http },
        tracked,
    }
}
