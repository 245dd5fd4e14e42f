//! Random limits, and the traffic under them.

use std::rc::Rc;
use std::time::Duration;

use audit_filter::pipeline::settings::{
    BatchLimits, BufferLimits, OnFull, PipelineSettings, RetryPolicy, Target,
};
use audit_filter::record::{Action, ExchangeRecord, Outcome, Protocol, RequestParts, RequestText};
use audit_filter::wire::{Format, Resource};
use fastrand::Rng;

/// Path of a record that the audit cluster does not accept.
pub const POISON: &str = "/poison";

/// Upper bound of a buffer's size.
pub const MOST_BYTES: usize = 50_000;

pub fn settings(rng: &mut Rng) -> PipelineSettings {
    PipelineSettings {
        resource: Resource {
            service: "simulation".to_owned(),
            instance: "node".to_owned(),
        },
        target: Target {
            cluster: "audit".to_owned(),
            authority: "audit".to_owned(),
            path: "/v1/logs".to_owned(),
            format: Format::OtlpJson,
            headers: Vec::new(),
            timeout: Duration::from_secs(rng.u64(1..10)),
        },
        batch: BatchLimits {
            max_records: rng.usize(1..30),
            max_bytes: rng.usize(1024..40_000),
            max_delay: Duration::from_millis(rng.u64(1..2000)),
        },
        buffer: BufferLimits {
            max_records: rng.usize(1..60),
            max_bytes: rng.usize(1024..MOST_BYTES),
            on_full: if rng.bool() {
                OnFull::DropNewest
            } else {
                OnFull::DropOldest
            },
            immediate_reserve_percent: rng.usize(..91),
        },
        retry: RetryPolicy {
            initial_backoff: Duration::from_millis(rng.u64(1..500)),
            max_backoff: Duration::from_millis(rng.u64(500..30_000)),
            max_attempts: rng.bool().then(|| rng.u64(1..6)),
            max_age: rng
                .bool()
                .then(|| Duration::from_millis(rng.u64(1..100_000))),
        },
        journal_keys: Vec::new(),
        alive_interval: rng.bool().then(|| Duration::from_secs(rng.u64(3..10))),
    }
}

/// The fields of a request with this path.
pub fn request(path: &str) -> RequestText {
    RequestText::new(&RequestParts {
        method: b"GET",
        path: path.as_bytes(),
        ..RequestParts::default()
    })
}

pub fn exchange(rng: &mut Rng) -> Box<ExchangeRecord> {
    let path = match rng.u8(..40) {
        0 => POISON.to_owned(),
        1 => format!("/{}", "x".repeat(rng.usize(..6000))),
        _ => "/path".to_owned(),
    };

    Box::new(ExchangeRecord {
        action: Action::Text(b"act".to_vec()),
        start_unix_nanos: 1,
        immediate: rng.u8(..10) == 0,
        request: request(&path),
        http_status: Some(200),
        ..ExchangeRecord::new(Rc::from("r"), Protocol::Http, Some(Outcome::Success))
    })
}
