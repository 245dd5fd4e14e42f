//! Handles one request: takes request headers, returns headers to remove and set. Returns at most
//! one record at the end of the stream.

mod assembly;
pub mod bounds;
mod candidates;
pub mod capture;
mod completion;
pub mod correlation;
pub mod exchange;
mod fields;
pub mod headers;
pub mod identity;
pub mod ongoing;
mod outcome;
pub mod recreated;
mod request;
mod response;
pub mod rpc;
pub mod rules;
pub mod session;
mod settings;
pub mod tracking;
pub mod trust;
pub mod uri;

pub use capture::redact;
pub use completion::Ended;
pub use request::Instructions;
pub use rules::dry_run;
pub use session::token;
pub use settings::RecorderSettings;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Duration;

use uuid::Uuid;

use crate::host::{Property, Stream};
use crate::quota::Quota;
use crate::record::{ExchangeRecord, Outcome, Received, Stage};
use crate::stats::Stats;
use crate::time::Now;
use correlation::Correlator;
use exchange::{Exchange, Subject};
use tracking::TrackingNames;
use trust::connections::Connections;
use trust::distrust::Distrust;

/// Host functions available during one callback of a stream.
pub struct Services<'h> {
    /// Properties of the stream.
    pub stream: &'h dyn Stream,
    /// Reads the clocks. Not called if no rule matches.
    pub clock: &'h dyn Fn() -> Now,
    /// Makes a UUIDv4.
    pub fresh_id: &'h dyn Fn() -> Option<Uuid>,
    /// Allocates the pairs of the correlation headers.
    pub correlator: &'h mut Correlator,
    /// Counters.
    pub stats: &'h Stats,
}

/// Upper bound in bytes for the bodies of open responses. That is 512 bodies of the default
/// `identity.max_body_bytes`, and 1/32 of the 1 GiB that Envoy allows a VM (proxy-wasm-cpp-host
/// `limits.h`, `PROXY_WASM_HOST_MAX_WASM_MEMORY_SIZE_BYTES`).
pub const MAX_BODIES_BYTES: usize = 32 << 20;

/// Decides about and records one exchange at a time. Between exchanges it keeps only values that
/// are constant for a connection.
#[derive(Debug)]
pub struct Recorder {
    settings: RecorderSettings,
    tracking_names: TrackingNames,
    connections: Connections,
    distrust: Distrust,
    /// Quota for the bodies of all open responses.
    bodies: Rc<Quota>,
}

impl Recorder {
    /// A recorder for one configuration. `bodies` is a quota of [`MAX_BODIES_BYTES`], shared by all
    /// recorders of the VM for response bodies.
    #[must_use]
    pub fn new(settings: RecorderSettings, bodies: Rc<Quota>) -> Self {
        Self {
            tracking_names: settings.tracking.names(),
            settings,
            connections: Connections::default(),
            distrust: Distrust::default(),
            bodies,
        }
    }

    /// The next log line about untrusted peers that send control or identity headers. One line per
    /// network, at most ten in total.
    #[must_use]
    pub fn poll_warning(&self) -> Option<String> {
        self.distrust.poll()
    }

    /// The record of a request before it goes upstream; `None` if no rule wants one.
    #[must_use]
    pub fn received(&self, exchange: &mut Exchange, stream: &dyn Stream) -> Option<Received> {
        let mut subject = exchange.audited()?.subject.clone();
        let client_address = self.client_address(exchange, &subject, stream);
        assembly::received(
            &mut subject,
            exchange.connection(stream),
            client_address,
            stream,
        )
    }

    /// The time after which an open exchange gets a "started" record.
    #[must_use]
    pub fn started_after(&self) -> Option<Duration> {
        self.settings.started_after
    }

    /// Start of an exchange that gets a "started" record if it stays open. `None` if it has
    /// one already, and unless one of its rules records successes or aborted exchanges.
    #[must_use]
    pub fn watched_from(&self, exchange: &Exchange) -> Option<Duration> {
        self.settings.started_after?;
        let subject = &exchange.audited()?.subject;
        // A recreated exchange has its "started" record.
        if subject.started_number.is_some() {
            return None;
        }
        let wants = |outcome: &Outcome| matches!(outcome, Outcome::Success | Outcome::Aborted);
        let is_wanted = subject
            .expected()
            .any(|candidate| candidate.rule.record_on.iter().any(wants));
        is_wanted.then_some(subject.start?.uptime)
    }

    /// The "started" record of an open exchange. Pass its number to [`Exchange::started`].
    #[must_use]
    pub fn started(
        &self,
        exchange: &mut Exchange,
        stream: &dyn Stream,
    ) -> Option<Box<ExchangeRecord>> {
        let mut subject = exchange.audited()?.subject.clone();
        let client_address = self.client_address(exchange, &subject, stream);
        assembly::before_the_end(&mut subject, Stage::Started, client_address, stream)
    }

    /// The client's address as seen by Envoy.
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
