//! Types that several answers share.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::ledger::{FLAGS, StoredEntry};

/// Nanoseconds since the Unix epoch as digits: they exceed the exact range of JSON numbers.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = String, pattern = "^-?[0-9]+$")]
pub(super) struct Nanos(pub(super) i64);

impl Serialize for Nanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A record as one flat object.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct FlatRecord(Map<String, Value>);

impl FlatRecord {
    pub(super) fn all(kept: &[StoredEntry]) -> Vec<Self> {
        kept.iter().map(Self::from).collect()
    }
}

impl From<&StoredEntry> for FlatRecord {
    fn from(kept: &StoredEntry) -> Self {
        Self(kept.flat())
    }
}

/// Fields that every record has, beside `flags`.
const ALWAYS: [(&str, Type); 8] = [
    ("position", Type::Integer),
    ("hash", Type::String),
    ("log.record.uid", Type::String),
    ("time_unix_nano", Type::String),
    ("observed_time_unix_nano", Type::String),
    ("received_at_unix_nano", Type::String),
    ("severity_number", Type::Integer),
    ("event_name", Type::String),
];

fn field(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind)
}

/// A record with `flags` of this schema.
fn record(flags: impl Into<RefOr<Schema>>) -> ObjectBuilder {
    let object = ObjectBuilder::new()
        .description(Some(
            "All attributes of resource and record under their names, and the fields of the record. Times are digits, \
            nanoseconds since the Unix epoch.",
        ))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .property("flags", flags)
        .required("flags");

    let object = ALWAYS.into_iter().fold(object, |object, (name, kind)| {
        object.property(name, field(kind)).required(name)
    });
    ["body", "trace_id", "span_id"]
        .into_iter()
        .fold(object, |object, name| {
            object.property(name, field(Type::String))
        })
}

impl PartialSchema for FlatRecord {
    fn schema() -> RefOr<Schema> {
        let flag = field(Type::String).enum_values(Some(FLAGS));
        record(ArrayBuilder::new().items(flag)).into()
    }
}

impl ToSchema for FlatRecord {
    fn name() -> Cow<'static, str> {
        "Record".into()
    }
}

/// A record as a line of an export in NDJSON.
pub(super) struct ExportedRecord;

impl PartialSchema for ExportedRecord {
    fn schema() -> RefOr<Schema> {
        let flags = field(Type::String).description(Some("Names, with a space between them."));
        let time = field(Type::String).description(Some("RFC 3339, in UTC, with nine decimals."));
        record(flags).property("time", time).required("time").into()
    }
}

impl ToSchema for ExportedRecord {
    fn name() -> Cow<'static, str> {
        "ExportedRecord".into()
    }
}
