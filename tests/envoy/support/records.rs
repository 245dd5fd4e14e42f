//! Records as an audit cluster receives them, flat.

use std::collections::BTreeMap;

use serde_json::Value;

/// One `LogRecord` with its own and its resource's attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub event: String,
    pub attributes: BTreeMap<String, Value>,
    pub raw: Value,
}

impl Record {
    /// An attribute as text; integers as their digits. Empty when it is not there.
    pub fn text(&self, name: &str) -> String {
        match self.attributes.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }

    pub fn int(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or_else(|_| panic!("{name} is no integer in {self:?}"))
    }

    pub fn has(&self, name: &str) -> bool {
        self.attributes.contains_key(name)
    }

    pub fn is_exchange(&self) -> bool {
        self.event == "audit.http" || self.event == "audit.rpc"
    }

    pub fn uid(&self) -> String {
        self.text("log.record.uid")
    }
}

/// The records of one OTLP/HTTP JSON body.
pub fn parse(body: &[u8]) -> Vec<Record> {
    let request: Value = serde_json::from_slice(body).expect("a batch is JSON");
    let mut records = Vec::new();
    for resource in request["resourceLogs"].as_array().unwrap() {
        let shared = attributes(&resource["resource"]["attributes"]);
        for scope in resource["scopeLogs"].as_array().unwrap() {
            for record in scope["logRecords"].as_array().unwrap() {
                let mut attributes = attributes(&record["attributes"]);
                attributes.extend(shared.clone());
                let event = record["eventName"].as_str().unwrap().to_owned();
                records.push(Record { event, attributes, raw: record.clone() });
            }
        }
    }
    records
}

fn attributes(list: &Value) -> BTreeMap<String, Value> {
    let pair = |attribute: &Value| {
        let value = attribute["value"].as_object().unwrap().values().next().unwrap().clone();
        (attribute["key"].as_str().unwrap().to_owned(), value)
    };
    let pairs: Vec<_> = list.as_array().unwrap().iter().map(pair).collect();
    let map: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "no attribute twice");
    map
}
