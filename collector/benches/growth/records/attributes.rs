//! A list of attributes.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

/// Attributes in the order in which they are added.
#[derive(Default)]
pub struct Attributes(Vec<KeyValue>);

impl Attributes {
    pub fn text(&mut self, key: &str, value: impl Into<String>) {
        self.add(key, Value::StringValue(value.into()));
    }

    pub fn int(&mut self, key: &str, value: u64) {
        self.add(key, Value::IntValue(value as i64));
    }

    pub fn double(&mut self, key: &str, value: f64) {
        self.add(key, Value::DoubleValue(value));
    }

    pub fn list(self) -> Vec<KeyValue> {
        self.0
    }

    fn add(&mut self, key: &str, value: Value) {
        self.0.push(KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        });
    }
}
