//! The JSON Schema and the parser accept the same structures, and the schema in `docs/` is the
//! parser's.
#![cfg(test)]

mod shipped;

use std::fs;
use std::path::{Path, PathBuf};

use audit_filter::config::{parse, schema::schema};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// Environment variable that makes the test write the file.
const WRITE: &str = "WRITE_SCHEMA";

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.schema.json")
}

#[test]
fn the_file_is_the_parsers() {
    let text = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if std::env::var_os(WRITE).is_some() {
        fs::write(file(), &text).unwrap();
    }
    assert!(
        fs::read_to_string(file()).unwrap() == text,
        "write it anew: {WRITE}=1 cargo test --test schema"
    );
}

/// Every property below a schema, with its path.
fn properties(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    let choices = schema["anyOf"]
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![schema.clone()]);

    for choice in &choices {
        for (key, below) in choice["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}/{key}");
            properties(below, &path, found);
            found.push((path, below.clone()));
        }
        properties_below(choice, path, found);
    }
}

fn properties_below(choice: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    for key in ["items", "additionalProperties"] {
        if choice[key].is_object() {
            properties(&choice[key], &format!("{path}/*"), found);
        }
    }
}

#[test]
fn every_key_is_described() {
    let mut found = Vec::new();
    properties(&schema(), "", &mut found);
    assert!(found.len() > 140, "{}", found.len());
    for (path, below) in found {
        assert!(below["description"].is_string(), "{path}");
    }
}

/// Nearly every key, each with a valid value.
fn everything() -> Value {
    json!({
        "enabled": true,
        "service": "shop",
        "audit_cluster": {
            "cluster": "audit", "authority": "a", "path": "/v1/logs", "format": "ndjson", "headers": {"authorization": "t"},
            "timeout": "1s",
        },
        "rules": [
            {
                "name": "login",
                "match": {
                    "protocol": "http", "hosts": ["api.example.com"], "methods": ["POST"], "path": {"exact": "/login"},
                    "headers": [{"name": "x-env", "exact": "prod"}, {"name": "x-a", "present": true}], "tracked": false,
                },
                "level": "request", "action": "login", "record_on": ["success"], "http_statuses": [200, "3xx", "404"],
                "immediate_on": ["denied"], "require_audit": "buffered", "session": "start", "correlate": true,
                "capture": {"query": ["page"], "request_headers": ["x-b"], "response_headers": ["x-c"]},
                "tags": {"retention": "7y"}, "extra_fields": ["response_flags"],
                "identity": {"user_id": [{"response_json": "/id"}], "max_body_bytes": 1000},
            },
            {
                "name": "edge",
                "match": {"path": {"template": "/v1/{id}"}},
                "set_tracking": {
                    "operation": "o",
                    "context": {"a": {"header": "x-a"}, "b": {"cookie": "c"}, "d": {"metadata": ["n", "k"]}, "e": {"peer_address": true}},
                },
            },
        ],
        "default": {"level": "metadata", "require_audit": "none"},
        "stages": {"started_after": "1m", "alive_interval": "0s"},
        "tracking": {
            "track_header": "x-t", "operation_header": "x-o", "context_header": "x-c", "strip_context": true,
            "on_empty_context": "record", "max_context_bytes": 100,
        },
        "trust": {
            "cidrs": ["10.0.0.0/8"], "uri_sans": ["spiffe://mesh/"],
            "filter_state": [{"name": "io.istio.peer_principal", "prefixes": ["spiffe://mesh/"]}],
        },
        "session": {
            "id": [{"header": "x-s"}, {"cookie": "c", "clear": true}], "token": [{"bearer": true}], "token_mode": "hmac",
            "hmac_keys": [{"id": "k", "key": "0123456789abcdef0123456789abcdef"}],
        },
        "identity": {
            "user_id": [{"header": "x-u"}, {"metadata": "n:k"}], "user_name": [{"peer_uri_san": true}],
            "user_email": [{"filter_state": "f"}], "max_body_bytes": 65_536,
        },
        "correlation": {"session_id_header": "x-1", "sequence_header": "x-2", "scope": "process"},
        "batch": {"max_records": 10, "max_bytes": 4096, "max_delay": "0.5s"},
        "buffer": {"max_records": 100, "max_bytes": 65_536, "on_full": "drop_oldest", "immediate_reserve_percent": 0},
        "retry": {"initial_backoff": "1ms", "max_backoff": "1s", "max_attempts": 3, "max_age": "1h"},
    })
}

/// Pointers to all values but the root.
fn pointers(value: &Value, above: &str, found: &mut Vec<String>) {
    let mut add = |key: String, below: &Value| {
        let pointer = format!("{above}/{key}");
        pointers(below, &pointer, found);
        found.push(pointer);
    };

    match value {
        Value::Object(map) => map.iter().for_each(|(key, below)| add(key.clone(), below)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, below)| add(index.to_string(), below)),
        _ => {}
    }
}

#[derive(Clone, Debug)]
enum Change {
    Put(Value),
    Remove,
    AddKey(Value),
    Empty,
}

fn change() -> impl Strategy<Value = Change> {
    let values = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(200),
        json!(5_000_000_000_u64),
        json!(""),
        json!("x"),
        json!("5s"),
        json!("/x"),
        json!([]),
        json!(["x"]),
        json!([[]]),
        json!({}),
        json!({"x": 1}),
        json!([{}]),
        json!("success"),
        json!("none"),
    ];

    let value = proptest::sample::select(values.to_vec());
    prop_oneof![
        4 => value.clone().prop_map(Change::Put),
        1 => Just(Change::Remove),
        2 => value.prop_map(Change::AddKey),
        1 => Just(Change::Empty),
    ]
}

fn apply(configuration: &mut Value, place: &Index, change: &Change) {
    let mut found = Vec::new();
    pointers(configuration, "", &mut found);
    if found.is_empty() {
        return;
    }

    let pointer = place.get(&found);
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let value = configuration.pointer_mut(pointer).unwrap();

    match (change, &mut *value) {
        (Change::Put(new), value) => *value = new.clone(),
        (Change::AddKey(new), Value::Object(map)) => {
            drop(map.insert("zzz".to_owned(), new.clone()))
        }
        (Change::Empty, Value::Object(map)) => map.clear(),
        (Change::Empty, Value::Array(items)) => items.clear(),
        (Change::Remove, _) => {
            if let Some(map) = configuration
                .pointer_mut(parent)
                .and_then(Value::as_object_mut)
            {
                map.remove(key);
            }
        }
        _ => {}
    }
}

/// Whether the schema checks this too. It cannot check the syntax of texts, or that two values
/// match.
fn is_structural(problem: &str) -> bool {
    let sentence = problem
        .split_once(": ")
        .map_or("", |(_, sentence)| sentence);
    let is_range = sentence
        .strip_prefix("must be between ")
        .is_some_and(|range| {
            range
                .chars()
                .all(|letter| letter.is_ascii_digit() || " and".contains(letter))
        });

    is_range
        || [
            "unknown key",
            "is required",
            "must be a string",
            "must be true or false",
            "must be an integer",
        ]
        .iter()
        .any(|start| sentence.starts_with(start))
        || [
            "must be a list",
            "must be an object",
            "must have at least one entry",
            "must not be empty",
            "must be a duration",
        ]
        .iter()
        .any(|start| sentence.starts_with(start))
        || sentence.starts_with("must be one of ")
        || sentence.contains("exactly one of")
}

/// Ten thousand configurations, each a few changes away from a valid one.
#[test]
fn schema_and_parser_take_the_same_structures() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    assert!(validator.is_valid(&everything()));

    let mut runner = TestRunner::new(Config {
        cases: 10_000,
        failure_persistence: None,
        ..Config::default()
    });
    let changes = proptest::collection::vec((any::<Index>(), change()), 1..4);
    let minimal = json!({"audit_cluster": {"cluster": "audit"}});
    let bases = proptest::sample::select(vec![everything(), everything(), everything(), minimal]);

    let tried = runner.run(&(bases, changes), |(mut configuration, changes)| {
        changes
            .iter()
            .for_each(|(place, change)| apply(&mut configuration, place, change));

        let problems = parse(configuration.to_string().as_bytes(), &|_| None)
            .err()
            .map_or_else(Vec::new, |error| error.problems);
        let is_valid = validator.is_valid(&configuration);
        prop_assert!(
            is_valid || !problems.is_empty(),
            "accepted, against the schema: {configuration}"
        );

        let is_of_structure = problems.iter().any(|problem| is_structural(problem));
        prop_assert!(
            !(is_valid && is_of_structure),
            "valid, and refused for {problems:?}: {configuration}"
        );

        Ok(())
    });

    tried.unwrap();
}
