//! Records as the filter makes them, in batches as it sends them. The record with a number is the
//! same in every run of a folder.

mod actions;
mod attributes;
mod people;
mod random;
mod record;
mod streams;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use self::attributes::Attributes;
pub use self::people::Session;
use self::random::{Draw, Purpose};
use self::streams::Turn;
pub use self::streams::service_name;

/// Records of a batch; the filter's default.
pub const OF_BATCH: u64 = 100;

/// Name, language and version of what sends, as the filter gives them.
const SDK: [&str; 3] = ["audit-filter", "rust", "0.1.0"];

/// When the records were made: one after the other.
#[derive(Clone, Copy)]
pub struct Clock {
    /// Of the first one, in nanoseconds since the Unix epoch.
    pub start: u64,
    /// Nanoseconds between two.
    pub step: u64,
}

impl Clock {
    /// The time of the record with this number.
    fn at(self, number: u64) -> u64 {
        self.start + number * self.step
    }
}

/// The body of the batch with this index, in protobuf.
pub fn batch(clock: Clock, index: u64) -> Vec<u8> {
    let turn = Turn::of_batch(index);
    let first = turn.before * OF_BATCH;
    let records = (0..OF_BATCH).map(|place| {
        let number = index * OF_BATCH + place;
        record::make(clock, number, first + place, turn.service())
    });

    let scope_logs = ScopeLogs {
        scope: Some(scope(&turn, index)),
        log_records: records.collect(),
        ..ScopeLogs::default()
    };
    let resource_logs = ResourceLogs {
        resource: Some(resource(&turn)),
        scope_logs: vec![scope_logs],
        ..ResourceLogs::default()
    };

    ExportLogsServiceRequest {
        resource_logs: vec![resource_logs],
    }
    .encode_to_vec()
}

fn resource(turn: &Turn) -> Resource {
    let mut attributes = Attributes::default();
    attributes.text("service.name", turn.service_name());
    attributes.text("service.instance.id", turn.instance());
    let names = ["name", "language", "version"];
    for (name, value) in names.iter().zip(SDK) {
        attributes.text(&format!("telemetry.sdk.{name}"), value);
    }

    Resource {
        attributes: attributes.list(),
        ..Resource::default()
    }
}

fn scope(turn: &Turn, index: u64) -> InstrumentationScope {
    let mut attributes = Attributes::default();
    attributes.text("audit.stream.id", turn.id());
    attributes.text("audit.batch.id", Draw::of(Purpose::Batch, index).uuid());
    attributes.int("audit.sequence.next", (turn.before + 1) * OF_BATCH);

    let [name, _, version] = SDK.map(str::to_owned);
    InstrumentationScope {
        name,
        version,
        attributes: attributes.list(),
        ..InstrumentationScope::default()
    }
}
