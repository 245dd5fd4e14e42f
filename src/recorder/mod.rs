//! The per-request hallway: request headers in, headers to remove and to set out; at the end of the stream one record or
//! none.

mod action;
mod answer;
pub mod authority;
mod begin;
mod bytes;
pub mod capture;
mod completeness;
mod completion;
mod connections;
pub mod correlation;
pub mod covering;
pub mod credentials;
mod distrust;
pub mod dry_run;
mod ending;
mod evidence;
pub mod exchange;
pub mod filter_state;
mod finish;
pub mod flags;
pub mod gateway;
pub mod headers;
pub mod identity;
mod matcher;
pub mod metadata;
pub mod ongoing;
pub mod outcome;
pub mod own_batch;
pub mod path;
mod path_parameters;
mod patterns;
pub mod policy;
pub mod query;
pub mod recreated;
pub mod redact;
pub mod request;
mod response;
pub mod response_json;
pub mod rpc;
pub mod session;
pub mod token;
pub mod trace;
pub mod tracking;
pub mod trust;
mod tunnel;
mod values;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Duration;

use uuid::Uuid;

use crate::host::{Property, Stream};
use crate::quota::Quota;
use crate::record::{ExchangeRecord, Outcome, Received, RequireAudit, Stage};
use crate::stats::Stats;
use crate::time::Now;
use begin::RequestContext;
use connections::Connections;
use correlation::Correlator;
use distrust::Distrust;
use exchange::{Exchange, Subject};
use headers::Headers;
use own_batch::OwnBatch;
use policy::Policy;
use tracking::TrackingNames;
use trust::Trust;

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
    /// The requests that make no record, since they carry records.
    pub own_batch: OwnBatch,
    /// Session ids and tokens.
    pub session: session::Settings,
    /// Who shares a session of correlation numbers.
    pub correlation_scope: correlation::Scope,
    /// After this long an exchange that is going on has a record of its own (`stages.started_after`); `None`: never.
    pub started_after: Option<Duration>,
}

/// What the recorder may use while it handles one callback of a stream.
pub struct Host<'h> {
    /// What can be asked about the stream.
    pub stream: &'h dyn Stream,
    /// Reads the clocks. Not called when no rule matches.
    pub clock: &'h dyn Fn() -> Now,
    /// Makes a UUIDv4.
    pub fresh_id: &'h dyn Fn() -> Option<Uuid>,
    /// Hands out the pairs of the correlation headers.
    pub correlator: &'h mut Correlator,
    /// What is counted.
    pub stats: &'h mut Stats,
}

/// What the host must do with a request.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Instructions<'s> {
    /// Headers to remove, each with all its values.
    pub remove: Vec<&'s str>,
    /// Headers to set, after that.
    pub set: Vec<(&'s str, Vec<u8>)>,
    /// What is demanded before the request may go upstream. Other than nothing: ask for [`Recorder::received`].
    pub require_audit: RequireAudit,
}

/// What became of an exchange whose stream has ended.
#[derive(Debug)]
#[must_use]
pub struct Ended {
    /// Its record, where a rule wants one.
    pub record: Option<Box<ExchangeRecord>>,
    /// The exchange goes on in another stream: keep it in [`recreated::Recreated`].
    pub is_recreated: bool,
}

/// What may be kept of the bodies of responses that are going on, in bytes: 512 of the default `identity.max_body_bytes`,
/// and a thirty-second of the 1 GiB that Envoy lets a VM have (proxy-wasm-cpp-host `limits.h`,
/// `PROXY_WASM_HOST_MAX_WASM_MEMORY_SIZE_BYTES`).
pub const MAX_BODIES_BYTES: usize = 32 << 20;

/// Decides and records, one exchange at a time. Between exchanges it remembers only what is the same for all requests of
/// a connection.
#[derive(Debug)]
pub struct Recorder {
    settings: Settings,
    tracking_names: TrackingNames,
    connections: Connections,
    distrust: Distrust,
    /// Of the bodies of all responses that are going on.
    bodies: Rc<Quota>,
}

impl Recorder {
    /// A recorder for one configuration. `bodies` is what all recorders of the VM may keep of responses together: a quota of
    /// [`MAX_BODIES_BYTES`].
    #[must_use]
    pub fn new(settings: Settings, bodies: Rc<Quota>) -> Self {
        Self {
            tracking_names: settings.tracking.names(),
            settings,
            connections: Connections::default(),
            distrust: Distrust::default(),
            bodies,
        }
    }

    /// The next line for the log: about peers whose control and identity headers do not count, once for each network, at
    /// most ten in all.
    #[must_use]
    pub fn poll_warning(&self) -> Option<String> {
        self.distrust.poll()
    }

    /// Takes the request headers: decides what to remove and to set, and whether a rule may want a record.
    ///
    /// Call [`Self::handle_end`] when the stream has ended.
    pub fn handle_request_headers(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        host: &mut Host<'_>,
    ) -> Instructions<'_> {
        let (presence, trusted) = self.judge(exchange, headers, host);
        let remove = self.removals(presence, trusted, host.stats);
        let set = self.begin(
            exchange,
            headers,
            RequestContext {
                presence,
                trusted,
                on_request_path: true,
            },
            host,
        );
        Instructions {
            remove,
            set,
            require_audit: exchange
                .audited()
                .map_or(RequireAudit::None, |audited| audited.subject.required()),
        }
    }

    /// Takes the request headers of a recreated stream, whose exchange has come from another one. What this filter has
    /// removed is gone, and what it has set is its own.
    pub fn handle_recreated_request(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        host: &mut Host<'_>,
    ) -> Instructions<'_> {
        if !exchange.is_decided() {
            return self.handle_request_headers(exchange, headers, host);
        }
        // The control headers are still there where an earlier filter had answered the first stream.
        let mut remove = Vec::new();
        if !exchange.is_set_by_gateway() {
            let (presence, trusted) = self.judge(exchange, headers, host);
            remove = self.removals(presence, trusted, host.stats);
        }
        let pair = exchange
            .audited()
            .and_then(|audited| audited.subject.correlation);
        let set = pair
            .into_iter()
            .flat_map(|pair| self.correlation_headers(pair))
            .collect();
        Instructions {
            remove,
            set,
            require_audit: RequireAudit::None,
        }
    }

    /// What can be recorded of a request that has not gone upstream yet; `None` when no rule wants a record.
    #[must_use]
    pub fn received(&self, exchange: &mut Exchange, stream: &dyn Stream) -> Option<Received> {
        let mut subject = exchange.audited()?.subject.clone();
        let client_address = self.client_address(exchange, &subject, stream);
        finish::received(
            &mut subject,
            exchange.connection(stream),
            client_address,
            stream,
        )
    }

    /// After how long an exchange that is going on is due to have a record of its own.
    #[must_use]
    pub fn started_after(&self) -> Option<Duration> {
        self.settings.started_after
    }

    /// When an exchange began of which a record is due if it goes on for long: one of its rules wants a success, or what
    /// is broken off.
    #[must_use]
    pub fn watched_from(&self, exchange: &Exchange) -> Option<Duration> {
        self.settings.started_after?;
        let subject = &exchange.audited()?.subject;
        let wants = |outcome: &Outcome| matches!(outcome, Outcome::Success | Outcome::Aborted);
        let is_wanted = subject
            .expected()
            .any(|candidate| candidate.rule.record_on.iter().any(wants));
        is_wanted.then_some(subject.start?.uptime)
    }

    /// What can be recorded of an exchange that is going on. Its number is to be noted by [`Exchange::started`].
    #[must_use]
    pub fn started(
        &self,
        exchange: &mut Exchange,
        stream: &dyn Stream,
    ) -> Option<Box<ExchangeRecord>> {
        let mut subject = exchange.audited()?.subject.clone();
        let client_address = self.client_address(exchange, &subject, stream);
        finish::before_the_end(&mut subject, Stage::Started, client_address, stream)
    }

    /// Takes the request trailers: names the control headers to remove from them; the context, too, where the gateway
    /// role has set one.
    pub fn handle_request_trailers(
        &self,
        exchange: &mut Exchange,
        trailers: &Headers<'_>,
        host: &mut Host<'_>,
    ) -> Vec<&str> {
        let (presence, trusted) = self.judge(exchange, trailers, host);
        self.removals(
            presence,
            trusted && !exchange.is_set_by_gateway(),
            host.stats,
        )
    }

    /// Takes the headers of a request whose stream ended before the filter saw it (an earlier filter answered).
    /// Nothing can be removed or set, since nothing went upstream.
    pub fn handle_unseen_request(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        host: &mut Host<'_>,
    ) {
        let (presence, trusted) = self.judge(exchange, headers, host);
        self.begin(
            exchange,
            headers,
            RequestContext {
                presence,
                trusted,
                on_request_path: false,
            },
            host,
        );
    }

    /// The client as Envoy sees it.
    fn client_address(
        &self,
        exchange: &mut Exchange,
        subject: &Subject,
        stream: &dyn Stream,
    ) -> Option<Vec<u8>> {
        let id = exchange.connection(stream);
        let source = || stream.property(Property::SourceAddress);
        self.connections
            .address(id, subject.request.text.forwarded_for(), source)
    }
}
