//! The wire formats. A record is encoded once as a fragment; a batch joins fragments unchanged.

mod attributes;
mod name;
mod ndjson;
mod otlp_json;
mod otlp_protobuf;
mod protobuf;
mod sink;
mod value;

use std::ops::Range;

use uuid::Uuid;

use crate::record::Event;
use crate::writer::Writer;
use name::name;
use sink::Sink;

/// `telemetry.sdk.name`, and the name of the OTLP scope.
pub const SDK_NAME: &str = "audit-filter";
/// `telemetry.sdk.version`
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");
/// `telemetry.sdk.language`, a word of the OpenTelemetry semantic conventions.
const SDK_LANGUAGE: &str = "rust";

/// Format of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// OTLP/HTTP protobuf logs.
    OtlpProtobuf,
    /// OTLP/HTTP JSON logs.
    OtlpJson,
    /// One flat JSON object per line.
    Ndjson,
}

impl Format {
    /// The value of `content-type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OtlpProtobuf => "application/x-protobuf",
            Self::OtlpJson => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// The stream that the records of a batch belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `audit.stream.id`
    pub stream_id: Uuid,
    /// Whether another stream sends them because theirs has crashed: `audit.recovered`.
    pub recovered: bool,
}

/// The service whose requests are recorded: attributes of the OTLP resource, which stay the same
/// for the life of the process. So receivers that keep one entry for each resource keep one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// `service.name`
    pub service: String,
    /// `service.instance.id`: Envoy's node id, else one of the process.
    pub instance: String,
}

impl Resource {
    fn list(&self, sink: &mut Sink<'_>) {
        sink.text(name!("service.name"), self.service.as_bytes());
        sink.text(name!("service.instance.id"), self.instance.as_bytes());
        sink.word(name!("telemetry.sdk.name"), SDK_NAME);
        sink.word(name!("telemetry.sdk.language"), SDK_LANGUAGE);
        sink.word(name!("telemetry.sdk.version"), SDK_VERSION);
    }
}

/// One batch of a stream: attributes of the OTLP scope.
struct Scope {
    origin: Origin,
    batch_id: Uuid,
    /// All lower numbers of the stream were given out before.
    next: u64,
}

impl Scope {
    fn list(&self, sink: &mut Sink<'_>) {
        sink.uuid(name!("audit.stream.id"), "", self.origin.stream_id);
        sink.uuid(name!("audit.batch.id"), "", self.batch_id);
        sink.int(name!("audit.sequence.next"), self.next);

        if self.origin.recovered {
            sink.flag(name!("audit.recovered"), true);
        }
    }
}

/// An event with its number in the stream.
#[derive(Clone, Copy, Debug)]
pub struct Numbered<'e> {
    /// `audit.sequence.number`
    pub number: u64,
    /// `log.record.uid` without its prefix.
    pub uid: Uuid,
    /// Start time, nanoseconds since the Unix epoch.
    pub time_unix_nanos: u64,
    /// When the record was made; not before `time_unix_nanos`.
    pub observed_unix_nanos: u64,
    /// Its content.
    pub event: &'e Event,
}

/// The body of a batch and the position of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The [`Room`] before the body, then the bytes to send, the same at every attempt.
    pub bytes: Vec<u8>,
    /// The byte range of each fragment in the bytes to send, in the given order.
    pub fragments: Vec<Range<usize>>,
}

/// Bytes around a body that its owner fills later, so that the body is not copied for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Zeros before the body.
    pub before: usize,
    /// Spare capacity after it.
    pub after: usize,
}

impl Room {
    /// The zeros before a body of this length, with capacity for the rest.
    fn open(self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.before + length + self.after);
        bytes.resize(self.before, 0);
        bytes
    }
}

/// Encodes records and batches.
#[derive(Clone, Debug)]
pub struct Encoder {
    format: Format,
    resource: Resource,
    /// Scratch buffer, allocated once; each record is then copied at its exact size.
    scratch: Writer,
}

impl Encoder {
    /// An encoder for the records of one service.
    #[must_use]
    pub fn new(format: Format, resource: Resource) -> Self {
        Self {
            format,
            resource,
            scratch: Writer::default(),
        }
    }

    /// Format of the batches.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Encodes one record as a fragment: complete except for the batch part.
    #[must_use]
    pub fn record(&mut self, record: &Numbered<'_>) -> Box<[u8]> {
        self.scratch.truncate(0);
        match self.format {
            Format::OtlpProtobuf => otlp_protobuf::record(record, &mut self.scratch),
            Format::OtlpJson => otlp_json::record(record, &mut self.scratch),
            Format::Ndjson => ndjson::record(record, &mut self.scratch),
        }
        self.scratch.as_bytes().into()
    }

    /// Joins fragments to the body of one batch, with `room` around it. `next` becomes
    /// `audit.sequence.next`: all lower numbers of the stream were given out before.
    #[must_use]
    pub fn batch<'f>(
        &self,
        origin: Origin,
        next: u64,
        batch_id: Uuid,
        room: Room,
        fragments: impl Iterator<Item = &'f [u8]> + Clone,
    ) -> Body {
        let resource = &self.resource;
        let scope = Scope {
            origin,
            batch_id,
            next,
        };

        match self.format {
            Format::OtlpProtobuf => otlp_protobuf::batch(resource, &scope, room, fragments),
            Format::OtlpJson => otlp_json::frame(resource, &scope).around(room, fragments),
            Format::Ndjson => ndjson::frame(resource, &scope).around(room, fragments),
        }
    }
}

/// Text before, between and after the records of a batch.
struct Frame {
    prefix: Writer,
    separator: Writer,
    suffix: Writer,
}

impl Frame {
    fn around<'f>(&self, room: Room, fragments: impl Iterator<Item = &'f [u8]> + Clone) -> Body {
        let [prefix, separator, suffix] =
            [&self.prefix, &self.separator, &self.suffix].map(Writer::as_bytes);
        let length: usize = fragments
            .clone()
            .map(|fragment| fragment.len() + separator.len())
            .sum();
        let mut bytes = room.open(prefix.len() + length + suffix.len());
        bytes.extend_from_slice(prefix);

        let mut ranges = Vec::with_capacity(fragments.clone().count());
        for fragment in fragments {
            if !ranges.is_empty() {
                bytes.extend_from_slice(separator);
            }
            let start = bytes.len() - room.before;
            bytes.extend_from_slice(fragment);
            ranges.push(start..start + fragment.len());
        }

        bytes.extend_from_slice(suffix);
        Body {
            bytes,
            fragments: ranges,
        }
    }
}
