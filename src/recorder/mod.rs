//! The per-request hallway: request headers in, names of headers to remove out; at the end of the stream one record or none.

pub mod correlation;
pub mod exchange;
mod finish;
pub mod flags;
pub mod grpc;
pub mod headers;
pub mod outcome;
pub mod path;
pub mod policy;
pub mod query;
pub mod redact;
pub mod response_json;
pub mod token;
pub mod trace;
pub mod tracking;
pub mod trust;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use crate::host::Stream;
use crate::record::{ExchangeRecord, Protocol, RequireAudit};
use crate::stats::{Counter, Stats};
use crate::time::Now;
use exchange::{Audited, Exchange, Request};
use headers::Headers;
use policy::{Policy, RequestHead, Rule};
use tracking::{Presence, Tracking};
use trust::{Trust, Verdict};

/// What the recorder needs to know; fixed for the life of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// False: nothing is recorded, control headers are still removed.
    pub enabled: bool,
    /// The ordered rules.
    pub policy: Policy,
    /// The control headers.
    pub tracking: tracking::Settings,
    /// Whose control headers count.
    pub trust: Trust,
}

/// What the host must do with a request.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Instructions<'s> {
    /// Headers to remove, each with all its values.
    pub remove: Vec<&'s str>,
    /// Control headers came, and the direct peer cannot be known: the operator should hear of it.
    pub peer_unknown: bool,
    /// What is demanded before the request may go upstream. Other than nothing: ask for [`Recorder::received`].
    pub require_audit: RequireAudit,
}

/// Decides and records, one exchange at a time. Holds no state between exchanges.
#[derive(Debug)]
pub struct Recorder {
    settings: Settings,
}

impl Recorder {
    /// A recorder for one configuration.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Takes the request headers: decides what to remove, and whether a rule may want a record.
    ///
    /// `clock` is read only for a request that a rule matches. Call [`Self::handle_end`] when the stream has ended.
    pub fn handle_request_headers(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        stream: &dyn Stream,
        clock: impl FnOnce() -> Now,
        stats: &mut Stats,
    ) -> Instructions<'_> {
        let (presence, trusted) = self.judge(exchange, headers, stream, stats);
        let remove = self.removals(presence, trusted, stats);
        exchange.begin(self.audited(headers, presence, trusted, || Some(clock()), stats));
        Instructions {
            remove,
            peer_unknown: exchange.verdict() == Some(Verdict::Unknown),
            require_audit: exchange.audited().map_or(RequireAudit::None, |audited| audited.rule.require_audit),
        }
    }

    /// What can be recorded of a request that has not gone upstream yet; `None` when no rule wants a record.
    #[must_use]
    pub fn received(&self, exchange: &Exchange, stream: &dyn Stream) -> Option<Box<ExchangeRecord>> {
        exchange.audited().map(|audited| Box::new(finish::received(audited.clone(), stream)))
    }

    /// Takes the request trailers: names the control headers to remove from them.
    pub fn handle_request_trailers(
        &self,
        exchange: &mut Exchange,
        trailers: &Headers<'_>,
        stream: &dyn Stream,
        stats: &mut Stats,
    ) -> Vec<&str> {
        let (presence, trusted) = self.judge(exchange, trailers, stream, stats);
        self.removals(presence, trusted, stats)
    }

    /// Takes the headers of a request whose stream ended before the filter saw it (an earlier filter answered).
    /// Nothing can be removed, since nothing went upstream.
    pub fn handle_unseen_request(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        stream: &dyn Stream,
        stats: &mut Stats,
    ) {
        let (presence, trusted) = self.judge(exchange, headers, stream, stats);
        exchange.begin_unseen(self.audited(headers, presence, trusted, || None, stats));
    }

    /// Makes the record of an exchange that has ended; `None` when no rule wants it. Later calls yield `None`.
    pub fn handle_end(
        &self,
        exchange: &mut Exchange,
        stream: &dyn Stream,
        clock: impl FnOnce() -> Now,
        stats: &mut Stats,
    ) -> Option<Box<ExchangeRecord>> {
        let audited = exchange.take()?;
        let ending = finish::Ending::read(&audited, exchange.is_complete(), stream);
        if !audited.rule.wants(audited.request.protocol, ending.outcome, ending.http_status) {
            stats.add(Counter::Excluded, 1);
            return None;
        }
        Some(Box::new(finish::record(*audited, ending, stream, clock)))
    }

    /// What of the names is there, and whether the peer may use them. The peer is judged at most once per exchange,
    /// and only when a control header asks for it.
    fn judge(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        stream: &dyn Stream,
        stats: &mut Stats,
    ) -> (Presence, bool) {
        let presence = Presence::of(headers, &self.settings.tracking);
        if !presence.has_control() {
            return (presence, true);
        }
        let trusted = exchange.verdict_or(|| self.settings.trust.judge(stream)) == Verdict::Trusted;
        if !trusted {
            stats.add(Counter::HeadersSpoofed, presence.control_count());
        }
        (presence, trusted)
    }

    fn removals(&self, presence: Presence, trusted: bool, stats: &mut Stats) -> Vec<&str> {
        let remove = presence.to_remove(&self.settings.tracking, trusted);
        stats.add(Counter::HeadersStripped, remove.len() as u64);
        remove
    }

    /// The control headers of a peer that is not trusted count as absent, also for the conditions of rules.
    fn audited(
        &self,
        headers: &Headers<'_>,
        presence: Presence,
        trusted: bool,
        clock: impl FnOnce() -> Option<Now>,
        stats: &mut Stats,
    ) -> Option<Box<Audited>> {
        if !self.settings.enabled {
            return None;
        }
        let settings = &self.settings.tracking;
        let visible = (!trusted).then(|| headers.without(&presence.to_remove(settings, trusted)));
        let headers = visible.as_ref().unwrap_or(headers);
        let tracking = if presence.has_control() { Tracking::read(headers, settings) } else { Tracking::default() };
        let path = path::normalize(headers.first(":path").unwrap_or_default());
        let is_grpc = grpc::is_grpc(headers.first("content-type"));
        let head = RequestHead {
            headers,
            method: headers.first(":method").unwrap_or_default(),
            path: &path,
            authority: headers.first(":authority").unwrap_or_default(),
            protocol: if is_grpc { Protocol::Grpc } else { Protocol::Http },
            tracked: tracking.tracked,
        };
        let rule = policy::first_match(&self.settings.policy, &head)?;
        if let Some(counter) = self.refusal(rule, &tracking) {
            stats.add(counter, 1);
            return None;
        }
        Some(Box::new(Audited { rule: Rc::clone(rule), start: clock(), tracking, request: Request::read(&head) }))
    }

    /// The reasons to record nothing that are known before the exchange has ended.
    fn refusal(&self, rule: &Rule, tracking: &Tracking) -> Option<Counter> {
        if !rule.recorded {
            return Some(Counter::Excluded);
        }
        let is_empty = rule.is_triggered_by_tracking() && tracking.context.is_none();
        (is_empty && !self.settings.tracking.record_empty_context).then_some(Counter::SkippedEmptyContext)
    }
}
