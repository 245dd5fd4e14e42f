//! Records as an audit cluster receives them, as flat maps.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;
use serde_json::Value;

/// One `LogRecord` with its attributes and those of its scope and its resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The event name of OTLP.
    pub event: String,
    /// The attributes by their names, with plain JSON values.
    pub attributes: BTreeMap<String, Value>,
    /// The `LogRecord` as received, without empty ids.
    pub raw: Value,
}

impl Record {
    /// An attribute as text, integers in decimal; empty if absent.
    pub fn text(&self, name: &str) -> String {
        match self.attributes.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }

    /// An attribute as a number. Panics if it is none.
    pub fn int(&self, name: &str) -> u64 {
        self.text(name)
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no integer in {self:?}"))
    }

    /// Whether there is an attribute with this name.
    pub fn has(&self, name: &str) -> bool {
        self.attributes.contains_key(name)
    }

    /// Whether it records an exchange, not a loss or the life of a stream.
    pub fn is_exchange(&self) -> bool {
        self.event == "audit.http" || self.event == "audit.rpc"
    }

    /// The id of the record.
    pub fn uid(&self) -> String {
        self.text("log.record.uid")
    }
}

/// The records of one OTLP/HTTP body, JSON or protobuf. A protobuf request never starts with a
/// brace, which would be its field 15.
pub fn parse(body: &[u8]) -> Vec<Record> {
    let request: Value = match body.first() {
        Some(b'{') => serde_json::from_slice(body).expect("a batch is JSON"),
        _ => serde_json::to_value(
            ExportLogsServiceRequest::decode(body).expect("a batch is protobuf"),
        )
        .unwrap(),
    };
    let mut records = Vec::new();

    for resource in request["resourceLogs"].as_array().unwrap() {
        let shared = attributes(&resource["resource"]["attributes"]);

        for scope in resource["scopeLogs"].as_array().unwrap() {
            let of_scope = attributes(&scope["scope"]["attributes"]);
            for record in scope["logRecords"].as_array().unwrap() {
                // The end record of a stream has an attribute with the name of one of the scope's.
                let mut all = of_scope.clone();
                all.extend(attributes(&record["attributes"]));
                all.extend(shared.clone());
                let event = record["eventName"].as_str().unwrap().to_owned();
                let mut raw = record.clone();
                // An empty id is an absent one.
                raw.as_object_mut().unwrap().retain(|_, value| value != "");
                records.push(Record {
                    event,
                    attributes: all,
                    raw,
                });
            }
        }
    }

    records
}

fn attributes(list: &Value) -> BTreeMap<String, Value> {
    let pair = |attribute: &Value| {
        let value = attribute["value"]
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .clone();
        (attribute["key"].as_str().unwrap().to_owned(), value)
    };
    let pairs: Vec<_> = list.as_array().unwrap().iter().map(pair).collect();
    let map: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "no attribute twice");

    map
}
