//! The golden batch of the filter, as the collector returns it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::common::{Collector, without_place};

const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/fixtures/otlp-batch.json"
);

/// Attributes that every exchange has. Events of the filter itself may lack them.
const SEARCHED: [&str; 3] = ["audit.action", "audit.outcome", "audit.sequence.number"];

fn items<'a>(parent: &'a Value, list: &str) -> &'a [Value] {
    parent[list].as_array().map_or(&[], Vec::as_slice)
}

/// Plain value of an attribute. Integers are decimal strings on the wire.
fn plain(value: &Value) -> Value {
    let (kind, inner) = value.as_object().unwrap().iter().next().unwrap();
    match (kind.as_str(), inner) {
        ("intValue", Value::String(digits)) => digits.parse::<i64>().unwrap().into(),
        ("doubleValue", number) => number.as_f64().unwrap().into(),
        (_, other) => other.clone(),
    }
}

fn attributes(parent: &Value) -> BTreeMap<String, Value> {
    let entries = items(parent, "attributes").iter();
    entries
        .map(|entry| {
            (
                entry["key"].as_str().unwrap().to_owned(),
                plain(&entry["value"]),
            )
        })
        .collect()
}

/// Every record of the file as the API must show it, without the time of receipt.
fn expected(file: &Value) -> Vec<BTreeMap<String, Value>> {
    let mut all = Vec::new();

    for group in items(file, "resourceLogs") {
        for scope in items(group, "scopeLogs") {
            for log in items(scope, "logRecords") {
                let mut flat = attributes(&group["resource"]);
                flat.extend(attributes(&scope["scope"]));
                flat.extend(attributes(log));
                let fields = [
                    ("time_unix_nano", &log["timeUnixNano"]),
                    ("observed_time_unix_nano", &log["observedTimeUnixNano"]),
                    ("severity_number", &log["severityNumber"]),
                    ("event_name", &log["eventName"]),
                    ("body", &log["body"]["stringValue"]),
                    ("trace_id", &log["traceId"]),
                    ("span_id", &log["spanId"]),
                ];
                let given = fields.into_iter().filter(|(_, value)| !value.is_null());
                flat.extend(given.map(|(name, value)| (name.to_owned(), value.clone())));
                all.push(flat);
            }
        }
    }

    all
}

#[tokio::test]
async fn every_record_of_the_filters_batch_comes_back_whole() {
    let bytes = std::fs::read(GOLDEN).unwrap();
    let expected = expected(&serde_json::from_slice(&bytes).unwrap());
    assert!(!expected.is_empty());

    let collector = Collector::start().await;
    assert_eq!(collector.post(bytes).await.status, 200);

    let mut records = collector.records().await;
    records.reverse();
    assert_eq!(records.len(), expected.len());

    let mut seen = BTreeSet::new();
    for (record, expected) in records.iter_mut().zip(expected) {
        without_place(record);
        let record: BTreeMap<String, Value> = serde_json::from_value(record.take()).unwrap();
        assert_eq!(record, expected);
        assert!(record["log.record.uid"].is_string(), "{record:?}");
        for name in SEARCHED {
            seen.extend(record.contains_key(name).then_some(name));
        }
    }
    assert_eq!(seen, BTreeSet::from(SEARCHED));
}
