//! Counts and gauges for Prometheus, all named `audit_collector_*`.

mod exposition;
mod figures;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::completeness::Moment;
use crate::http::admission::Admission;
use crate::http::refusal::Reason;
use crate::ledger::Ledger;
use crate::time::{Clock, nanos};
use crate::views;
use exposition::Format;
use figures::Shown;

/// Upper bounds of the buckets for durations, in seconds: from a single request to the wait for a
/// lock.
const DURATIONS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// All metrics; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    duration: Histogram,
    body_bytes: Counter,
    refused: Family<RefusedLabels, Counter>,
    received: Counter,
    stored: Counter,
    duplicate: Counter,
    conflict: Counter,
    deleted: Counter,
    failing: Family<TaskLabels, Gauge>,
    ledger: Shown,
    connections: Gauge,
    handshake_failures: Counter,
    requests_in_flight: Gauge,
    bytes_in_flight: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    encoding: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskLabels {
    task: &'static str,
}

impl From<Reason> for RefusedLabels {
    fn from(reason: Reason) -> Self {
        Self {
            reason: reason.label(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("audit_collector"),
            requests: Family::default(),
            duration: Histogram::new(DURATIONS),
            body_bytes: Counter::default(),
            refused: Family::default(),
            received: Counter::default(),
            stored: Counter::default(),
            duplicate: Counter::default(),
            conflict: Counter::default(),
            deleted: Counter::default(),
            failing: Family::default(),
            ledger: Shown::default(),
            connections: Gauge::default(),
            handshake_failures: Counter::default(),
            requests_in_flight: Gauge::default(),
            bytes_in_flight: Gauge::default(),
        };

        inner.register();
        Self(Arc::new(inner))
    }
}

impl Inner {
    /// Registers all of them, in the order in which they are shown.
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "build",
            "The program",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );

        self.register_requests();
        self.register_records();
        self.register_connections();
    }

    fn register_requests(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "requests",
            "Requests to store records, answered",
            self.requests.clone(),
        );
        let help = "From the headers of such a request to its answer";
        registry.register_with_unit(
            "request_duration",
            help,
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register_with_unit(
            "body",
            "Bodies of such requests as sent",
            Unit::Bytes,
            self.body_bytes.clone(),
        );

        // Each is there from the start: a rate needs a count before the first refusal.
        for reason in Reason::ALL {
            drop(self.refused.get_or_create(&reason.into()));
        }
        registry.register(
            "refused",
            "Requests of any kind that were refused",
            self.refused.clone(),
        );
    }

    fn register_records(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "records_received",
            "Records in bodies that were read",
            self.received.clone(),
        );
        registry.register(
            "records_stored",
            "Records that were new, and are durable",
            self.stored.clone(),
        );
        registry.register(
            "records_duplicate",
            "Records that were kept already",
            self.duplicate.clone(),
        );
        let help = "Records whose uid was kept already with another content";
        registry.register("records_conflict", help, self.conflict.clone());
        registry.register(
            "records_deleted",
            "Records that retention has deleted",
            self.deleted.clone(),
        );
        let help = "Whether the last step of a background task failed";
        registry.register("background_failing", help, self.failing.clone());
        registry.register_collector(Box::new(self.ledger.clone()));
    }

    fn register_connections(&mut self) {
        let registry = &mut self.registry;
        registry.register("connections", "Open connections", self.connections.clone());
        let help = "Connections whose TLS handshake failed";
        registry.register(
            "tls_handshake_failures",
            help,
            self.handshake_failures.clone(),
        );

        let help = "Requests to store records that hold a place now";
        registry.register("requests_in_flight", help, self.requests_in_flight.clone());
        let help = "What these requests hold of the limit of bytes";
        registry.register_with_unit("in_flight", help, Unit::Bytes, self.bytes_in_flight.clone());
    }
}

impl Metrics {
    /// A request to store records was answered.
    pub(crate) fn answered(&self, encoding: &'static str, status: StatusCode, took: Duration) {
        self.0
            .requests
            .get_or_create(&RequestLabels {
                encoding,
                status: status.as_u16(),
            })
            .inc();
        self.0.duration.observe(took.as_secs_f64());
    }

    /// A request of any kind was refused.
    pub(crate) fn refused(&self, reason: Reason) {
        self.0.refused.get_or_create(&reason.into()).inc();
    }

    /// A body of this many bytes came in.
    pub(crate) fn body_read(&self, bytes: usize) {
        self.0.body_bytes.inc_by(bytes as u64);
    }

    /// Records were read from a body.
    pub fn records_received(&self, records: usize) {
        self.0.received.inc_by(records as u64);
    }

    /// New records are durable.
    pub fn records_stored(&self, records: u64) {
        self.0.stored.inc_by(records);
    }

    /// Records were kept already, with the same content.
    pub fn records_duplicate(&self, records: u64) {
        self.0.duplicate.inc_by(records);
    }

    /// Records contradict those stored under their uids.
    pub fn records_conflict(&self, records: u64) {
        self.0.conflict.inc_by(records);
    }

    /// The counter of records that retention deletes.
    pub fn records_deleted(&self) -> Counter {
        self.0.deleted.clone()
    }

    /// A connection was accepted; it counts as open until the returned value is dropped.
    pub fn connection(&self) -> OpenConnection {
        self.0.connections.inc();
        OpenConnection(self.0.connections.clone())
    }

    /// A TLS handshake failed.
    pub fn handshake_failed(&self) {
        self.0.handshake_failures.inc();
    }

    fn text(&self, format: Format) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.0.registry)?;
        Ok(format.write(text))
    }
}

/// One open connection.
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// `GET /metrics`.
pub(crate) async fn show(
    State(metrics): State<Metrics>,
    State(admission): State<Admission>,
    State(ledger): State<Arc<Ledger>>,
    State(views): State<Arc<views::Settings>>,
    State(now_unix_nano): State<Clock>,
    headers: HeaderMap,
) -> Response {
    let moment = Moment {
        now: now_unix_nano(),
        grace: nanos(views.grace),
    };
    let inner = &metrics.0;
    inner.requests_in_flight.set(gauge(admission.requests()));
    inner.bytes_in_flight.set(gauge(admission.bytes()));
    for task in ledger.tasks() {
        let labels = TaskLabels { task: task.name };
        let failing = inner.failing.get_or_create(&labels);
        failing.set(task.is_failing().into());
    }
    inner.ledger.0.refresh(&ledger, moment).await;

    let format = Format::of(&headers);
    match metrics.text(format) {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn gauge(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
