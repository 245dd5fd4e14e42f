//! One line of a table: the requests, and the Envoy that they pass.

use serde_json::Value;

use crate::bench::artefacts::{self, Build};
use crate::bench::requests::{RECORD, Requests, USER_AGENT};
use crate::bench::sidecar::Sidecar;
use crate::bench::sink::Streams;
use crate::bench::{audit, bootstrap};
use crate::envoy::bootstrap::Bootstrap;

/// Where the records of a row are delivered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// No request leaves a record.
    Nothing,
    /// Every request leaves a record with this text once, which arrives at the sink soon.
    Sink(&'static str),
    /// Every request leaves a line in this file of Envoy's directory, within Envoy's flush
    /// interval.
    File(&'static str),
}

/// The configuration of an Envoy, and its requests.
pub struct Row {
    /// Name of the measured filter or configuration.
    pub name: String,
    /// What its requests have in common.
    pub requests: Requests,
    /// Number of workers of the Envoy.
    pub workers: usize,
    /// Where the records go.
    pub delivery: Delivery,
    /// How the sink answers gRPC.
    pub streams: Streams,
    /// The configuration of the Envoy.
    pub bootstrap: Bootstrap,
    /// What belongs to the sidecar's shape, if the row has it.
    pub sidecar: Option<Sidecar>,
}

impl Row {
    fn new(name: &str, requests: Requests, delivery: Delivery, bootstrap: Bootstrap) -> Self {
        Self {
            name: name.to_owned(),
            requests,
            workers: 1,
            delivery,
            streams: Streams::AtEnd,
            bootstrap,
            sidecar: None,
        }
    }

    /// The row in the shape of a sidecar of Istio.
    pub fn as_sidecar(mut self) -> Self {
        self.sidecar = Some(Sidecar::shape(&mut self.bootstrap));
        self
    }

    /// Envoy with nothing but the router.
    pub fn no_filter(requests: Requests) -> Self {
        Self::new(
            "no filter",
            requests,
            Delivery::Nothing,
            bootstrap::no_filter(requests.traffic),
        )
    }

    /// Only the filter that the audit filter needs before it.
    pub fn peer_note(requests: Requests) -> Self {
        Self::new(
            "no filter + peer note",
            requests,
            Delivery::Nothing,
            bootstrap::peer_note(requests.traffic),
        )
    }

    /// The filter that does nothing.
    pub fn do_nothing(requests: Requests) -> Self {
        Self::new(
            "do-nothing",
            requests,
            Delivery::Nothing,
            bootstrap::do_nothing(requests.traffic),
        )
    }

    /// The filter that makes host calls and nothing else.
    pub fn bare_calls(name: &str, requests: Requests, steps: u8) -> Self {
        let name = format!("bare calls: {name}");
        Self::new(
            &name,
            requests,
            Delivery::Nothing,
            bootstrap::bare_calls(requests.traffic, steps),
        )
    }

    /// The audit filter with this configuration; every request is recorded.
    pub fn audit(name: &str, requests: Requests, configuration: &Value) -> Self {
        Self::build(&Build::full(), name, requests, configuration)
    }

    /// The same with this build of the filter. The row's name begins with that of the build.
    pub fn build(build: &Build, name: &str, requests: Requests, configuration: &Value) -> Self {
        let bootstrap = bootstrap::audit(requests.traffic, &build.wasm, configuration);
        Self::new(
            &format!("{}{name}", build.name),
            requests,
            Delivery::Sink(RECORD),
            bootstrap,
        )
    }

    /// The audit filter on the routes of requests that may need a record, and disabled on all
    /// others.
    pub fn by_route(requests: Requests, configuration: &Value) -> Self {
        let bootstrap = bootstrap::by_route(requests.traffic, artefacts::full(), configuration);
        Self::new(
            "audit, by route",
            requests,
            Delivery::Sink(RECORD),
            bootstrap,
        )
    }

    /// Envoy's built-in HTTP filters and access logs.
    pub fn own(name: &str, requests: Requests, filters: &[Value], access_log: &[Value]) -> Self {
        let bootstrap = bootstrap::own(requests.traffic, filters, access_log);
        Self::new(name, requests, Delivery::Sink(USER_AGENT), bootstrap)
    }

    /// The filter with this many rules, none of which matches.
    pub fn rules(build: &Build, count: usize, requests: Requests) -> Self {
        let plural = if count == 1 { "" } else { "s" };
        let name = format!(", {count} rule{plural}");
        let row = Self::build(build, &name, requests, &audit::unmatched(count));
        row.delivering(Delivery::Nothing)
    }

    /// The row with another place of delivery.
    pub fn delivering(self, delivery: Delivery) -> Self {
        Self { delivery, ..self }
    }

    /// The row with a sink that answers each message of a gRPC stream.
    pub fn processed(self) -> Self {
        Self {
            streams: Streams::AtEachMessage,
            ..self
        }
    }

    /// The row with this number of workers.
    pub fn with_workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }
}
