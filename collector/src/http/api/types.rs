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

/// Fields that every record has.
const ALWAYS: [(&str, Type); 9] = [
    ("position", Type::Integer),
    ("hash", Type::String),
    ("log.record.uid", Type::String),
    ("time_unix_nano", Type::String),
    ("observed_time_unix_nano", Type::String),
    ("received_at_unix_nano", Type::String),
    ("severity_number", Type::Integer),
    ("event_name", Type::String),
    ("flags", Type::Array),
];

impl PartialSchema for FlatRecord {
    fn schema() -> RefOr<Schema> {
        let flag = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(FLAGS))
            .build();
        let field = |kind: &Type| match kind {
            Type::Array => Schema::from(ArrayBuilder::new().items(flag.clone())),
            kind => ObjectBuilder::new().schema_type(kind.clone()).into(),
        };

        let mut object = ObjectBuilder::new()
            .description(Some(
                "All attributes of resource and record under their names, and the fields of the record. Times are digits, \
                nanoseconds since the Unix epoch.",
            ))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)));

        for (name, kind) in &ALWAYS {
            object = object.property(*name, field(kind)).required(*name);
        }
        for name in ["body", "trace_id", "span_id"] {
            object = object.property(name, field(&Type::String));
        }
        object.into()
    }
}

impl ToSchema for FlatRecord {
    fn name() -> Cow<'static, str> {
        "Record".into()
    }
}
