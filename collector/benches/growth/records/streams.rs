//! The 50 workers of proxies in front of 20 services, and which of them sends which batch.

use super::random::{Draw, Purpose};

const STREAMS: u64 = 50;
const SERVICES: u64 = 20;
/// Batches after which all streams have had their turns: each has one, the first ten have six.
const CYCLE: u64 = 100;
const BUSY: u64 = 10;
/// Has no factor in common with [`CYCLE`], so that busy streams do not send all at once.
const STRIDE: u64 = 37;

/// A stream, and the place of a batch in it.
pub struct Turn {
    pub stream: u64,
    /// Batches of the stream before this one.
    pub before: u64,
}

impl Turn {
    /// That of the batch with this index.
    pub fn of_batch(index: u64) -> Self {
        let (cycle, step) = (index / CYCLE, index % CYCLE);
        let stream = stream_at(step);
        let of_stream = |steps: std::ops::Range<u64>| {
            steps.filter(|step| stream_at(*step) == stream).count() as u64
        };

        Self {
            stream,
            before: cycle * of_stream(0..CYCLE) + of_stream(0..step),
        }
    }

    /// Index of the service.
    pub fn service(&self) -> u64 {
        self.stream % SERVICES
    }

    /// `service.name`
    pub fn service_name(&self) -> String {
        service_name(self.service())
    }

    /// `service.instance.id`, the id of a node as Istio gives it.
    pub fn instance(&self) -> String {
        let mut draw = Draw::of(Purpose::Stream, self.stream);
        let name = self.service_name();
        let [third, fourth] = [draw.below(256), 1 + draw.below(254)];
        let pod = hex::encode(&draw.bytes()[..5]);
        format!("sidecar~10.42.{third}.{fourth}~{name}-{pod}.prod~prod.svc.cluster.local")
    }

    /// `audit.stream.id`
    pub fn id(&self) -> String {
        let mut draw = Draw::of(Purpose::Stream, STREAMS + self.stream);
        draw.uuid()
    }
}

/// `service.name` of the service with this index.
pub fn service_name(service: u64) -> String {
    const NAMES: [&str; 10] = [
        "gateway",
        "orders",
        "users",
        "payments",
        "stock",
        "mail",
        "reports",
        "claims",
        "devices",
        "documents",
    ];
    let name = NAMES[(service % 10) as usize];
    if service < 10 {
        name.to_owned()
    } else {
        format!("{name}-eu")
    }
}

fn stream_at(step: u64) -> u64 {
    let place = step * STRIDE % CYCLE;
    if place < STREAMS { place } else { place % BUSY }
}
