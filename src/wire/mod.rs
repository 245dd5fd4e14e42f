//! The bytes on the wire: a record becomes a fragment once, and a batch joins fragments without touching them again.

mod attributes;
mod ndjson;
mod otlp;
mod sink;

use std::ops::Range;

use uuid::Uuid;

use crate::json::Writer;
use crate::record::Event;
use sink::{Sink, name};

/// `telemetry.sdk.name`, and the name of the OTLP scope.
pub const SDK_NAME: &str = "audit-filter";
/// `telemetry.sdk.version`
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");

/// How a batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// OTLP/HTTP JSON logs.
    OtlpJson,
    /// One flat JSON object a line.
    Ndjson,
}

impl Format {
    /// The value of `content-type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OtlpJson => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// Whose records a batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `audit.stream.id` and `service.instance.id`
    pub stream_id: Uuid,
    /// Whether they are sent by another stream than their own, because that one has crashed: `audit.recovered`.
    pub recovered: bool,
}

/// What is said once of all records of a batch.
struct Resource<'e> {
    service: &'e str,
    origin: Origin,
    batch_id: Uuid,
}

impl Resource<'_> {
    fn list(&self, mut sink: Sink<'_>) {
        let stream_id = self.origin.stream_id;
        sink.text(name!(text "service.name"), self.service.as_bytes());
        sink.uuid(name!(text "service.instance.id"), "", stream_id);
        sink.uuid(name!(text "audit.stream.id"), "", stream_id);
        sink.uuid(name!(text "audit.batch.id"), "", self.batch_id);
        sink.word(name!(text "telemetry.sdk.name"), SDK_NAME);
        sink.word(name!(text "telemetry.sdk.version"), SDK_VERSION);
        if self.origin.recovered {
            sink.flag(name!(flag "audit.recovered"), true);
        }
        sink.close();
    }
}

/// An event with its place in the stream.
#[derive(Clone, Copy, Debug)]
pub struct Numbered<'e> {
    /// `audit.sequence.number`
    pub number: u64,
    /// `log.record.uid` without its prefix.
    pub uid: Uuid,
    /// When it began, nanoseconds since the Unix epoch.
    pub time_unix_nanos: u64,
    /// When the record was made; not before `time_unix_nanos`.
    pub observed_unix_nanos: u64,
    /// What it tells.
    pub event: &'e Event,
}

/// The body of a batch and where its records stand in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// What is sent, the same at every attempt: UTF-8.
    pub text: Vec<u8>,
    /// The range of each fragment, in the order given.
    pub fragments: Vec<Range<usize>>,
}

/// Writes records and batches.
#[derive(Clone, Debug)]
pub struct Encoder {
    format: Format,
    /// `service.name`
    service: String,
    /// Where a record is written before it is copied at its exact size: allocated once.
    scratch: Writer,
}

impl Encoder {
    /// An encoder for one `service.name`.
    #[must_use]
    pub fn new(format: Format, service: String) -> Self {
        Self { format, service, scratch: Writer::default() }
    }

    /// How batches are written.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Writes one record as a fragment: complete but for what belongs to its batch.
    #[must_use]
    pub fn record(&mut self, record: &Numbered<'_>) -> Box<[u8]> {
        self.scratch.truncate(0);
        match self.format {
            Format::OtlpJson => otlp::record(record, &mut self.scratch),
            Format::Ndjson => ndjson::record(record, &mut self.scratch),
        }
        self.scratch.as_bytes().into()
    }

    /// Joins fragments to the body of one batch.
    #[must_use]
    pub fn batch<'f>(&self, origin: Origin, batch_id: Uuid, fragments: impl Iterator<Item = &'f [u8]> + Clone) -> Body {
        let frame = self.frame(&Resource { service: &self.service, origin, batch_id });
        let [prefix, separator, suffix] = [&frame.prefix, &frame.separator, &frame.suffix].map(Writer::as_bytes);
        let bytes: usize = fragments.clone().map(|fragment| fragment.len() + separator.len()).sum();
        let mut text = Vec::with_capacity(prefix.len() + bytes + suffix.len());
        text.extend_from_slice(prefix);
        let mut ranges = Vec::with_capacity(fragments.clone().count());
        for fragment in fragments {
            if !ranges.is_empty() {
                text.extend_from_slice(separator);
            }
            let start = text.len();
            text.extend_from_slice(fragment);
            ranges.push(start..text.len());
        }
        text.extend_from_slice(suffix);
        Body { text, fragments: ranges }
    }

    fn frame(&self, resource: &Resource<'_>) -> Frame {
        match self.format {
            Format::OtlpJson => otlp::frame(resource),
            Format::Ndjson => ndjson::frame(resource),
        }
    }
}

/// What stands before, between and after the records of a batch.
struct Frame {
    prefix: Writer,
    separator: Writer,
    suffix: Writer,
}
