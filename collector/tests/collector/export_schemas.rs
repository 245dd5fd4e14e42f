//! `format=ocsf` and `format=ecs`: each line is valid in its schema, and nothing of a record is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::{Collector, record_at};
use crate::encodings::golden;
use crate::tools::{file, packages, printed};

async fn export(collector: &Collector, format: &str) -> Vec<Value> {
    let answer = collector
        .get(&format!("/api/records?format={format}&after=0"))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = answer.text();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn exchange(number: usize, attributes: &Value) -> Value {
    let mut all = json!({"audit.rule": "login", "service.name": "shop"});
    all.as_object_mut()
        .unwrap()
        .extend(attributes.as_object().unwrap().clone());
    record_at(&format!("aud_{number}"), 1, &all)
}

/// Records whose mapping is known: their attributes, class and activity in OCSF, categories and
/// types in ECS.
fn known() -> Vec<(Value, i64, i64, Value, Value)> {
    let login = json!(["authentication", "session"]);
    let api = json!(["api"]);
    let access = json!(["access"]);
    let event = |attributes: Value| attributes;
    vec![
        (
            event(
                json!({"audit.session.event": "start", "user.id": "7", "audit.outcome": "success"}),
            ),
            3002,
            1,
            login.clone(),
            json!(["start"]),
        ),
        (
            event(json!({"audit.session.event": "start", "audit.outcome": "denied"})),
            3002,
            1,
            login.clone(),
            json!(["start"]),
        ),
        (
            event(json!({"audit.session.event": "end", "user.name": "ann"})),
            3002,
            2,
            login,
            json!(["end"]),
        ),
        (
            event(json!({"audit.session.event": "start", "audit.stage": "received"})),
            6003,
            0,
            api.clone(),
            access.clone(),
        ),
        (
            event(json!({"http.request.method": "GET", "client.address": "2001:db8::1"})),
            6003,
            2,
            api.clone(),
            access.clone(),
        ),
        (
            event(json!({"http.request.method": "POST", "client.address": "not an address"})),
            6003,
            99,
            api.clone(),
            access.clone(),
        ),
        (
            event(json!({"http.request.method": "PUT", "audit.outcome": "denied"})),
            6003,
            3,
            api.clone(),
            json!(["access", "denied"]),
        ),
        (
            event(json!({"http.request.method": "DELETE"})),
            6003,
            4,
            api.clone(),
            access.clone(),
        ),
        // Values that the schemas do not list.
        (
            event(
                json!({"http.request.method": "BREW", "server.port": 65_536, "url.path": "/pot"}),
            ),
            6003,
            99,
            api.clone(),
            access.clone(),
        ),
        // Values of types that no schema has, or that its patterns refuse.
        (
            event(json!({
                "user.id": 7, "user.name": true, "user.email": "@", "client.address": 1, "audit.duration_ms": "long",
                "http.response.status_code": "teapot", "server.port": "x", "audit.sequence.number": "7",
                "http.request.method": 1, "url.path": 2, "audit.action": false, "trace_id": 9, "audit.session.event": 1,
            })),
            6003,
            0,
            api,
            access,
        ),
    ]
}

async fn with_known() -> Collector {
    let collector = Collector::start().await;
    let records: Vec<_> = known()
        .iter()
        .enumerate()
        .map(|(number, (attributes, ..))| exchange(number, attributes))
        .collect();
    collector.keep(&records).await;
    collector
}

/// Attributes that have a place in one of the schemas.
const MAPPED: [&str; 27] = [
    "audit.action",
    "audit.duration_ms",
    "audit.outcome",
    "audit.request_id",
    "audit.rule",
    "audit.sequence.number",
    "audit.session.event",
    "audit.stage",
    "audit.stream.id",
    "client.address",
    "error.message",
    "http.request.method",
    "http.response.status_code",
    "network.protocol.version",
    "rpc.response.status_code",
    "server.address",
    "server.port",
    "service.instance.id",
    "service.name",
    "session.id",
    "session.token_ref",
    "telemetry.sdk.name",
    "url.path",
    "user.email",
    "user.id",
    "user.name",
    "user_agent.original",
];

/// Each of them with values that fit some places and not others, in a call and in a login.
fn odd() -> Vec<Value> {
    let texts = [
        "",
        " ",
        "a@b",
        "a@b.c",
        "é@b.c",
        "@b.c",
        "a@.c",
        "1.2.3.4",
        "::ffff:1.2.3.4",
        "fe80::1%eth0",
    ];
    let texts = texts.map(|text| json!({"stringValue": text}));
    let others = [
        json!({"intValue": "-1"}),
        json!({"intValue": i64::MAX.to_string()}),
        json!({"doubleValue": -0.5}),
        json!({"doubleValue": 1e300}),
        json!({"boolValue": true}),
        json!({"arrayValue": {"values": [{"stringValue": "a"}]}}),
    ];

    let mut records = Vec::new();
    for (name, value) in MAPPED
        .iter()
        .flat_map(|name| texts.iter().chain(&others).map(move |value| (name, value)))
    {
        for event in ["", "start"] {
            let uid = format!("odd_{}", records.len());
            let mut record = record_at(&uid, 1, &json!({"audit.session.event": event}));
            let attributes = record["attributes"].as_array_mut().unwrap();
            attributes.retain(|attribute| attribute["key"] != *name);
            attributes.push(json!({"key": name, "value": value}));
            records.push(record);
        }
    }
    records
}

/// The golden batch and everything above.
async fn with_everything() -> Collector {
    let collector = with_known().await;
    let [(_, json), ..] = golden();
    assert_eq!(collector.post(json).await.status, 200);

    let mut foreign = record_at("foreign", 90 * 86_400, &json!({"a.b": 1, "a": "b"}));
    foreign.as_object_mut().unwrap().remove("eventName");
    collector.keep(&[foreign]).await;
    collector.keep(&odd()).await;
    collector
}

#[tokio::test]
async fn every_event_is_valid_ocsf() {
    let Some(packages) = packages("ocsf") else {
        return;
    };
    let collector = with_everything().await;
    let events = export(&collector, "ocsf").await;
    let classes: BTreeSet<i64> = events
        .iter()
        .map(|event| event["class_uid"].as_i64().unwrap())
        .collect();
    assert_eq!(classes, BTreeSet::from([0, 3002, 6002, 6003, 6008]));

    let schemas = printed(
        Command::new("python3")
            .env("PYTHONPATH", packages)
            .arg(file("ocsf-schemas.py"))
            .arg(events[0]["metadata"]["version"].as_str().unwrap())
            .args(classes.iter().map(i64::to_string)),
    );
    let schemas: BTreeMap<String, Value> = serde_json::from_str(&schemas).unwrap();
    let validators: BTreeMap<_, _> = schemas
        .iter()
        .map(|(class, schema)| (class, jsonschema::validator_for(schema).unwrap()))
        .collect();
    for event in &events {
        let validator = &validators[&event["class_uid"].to_string()];
        let errors: Vec<_> = validator
            .iter_errors(event)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{event:#}: {errors:#?}");

        let activity = event["activity_id"].as_i64().unwrap();
        let class = event["class_uid"].as_i64().unwrap();
        assert_eq!(event["type_uid"], class * 100 + activity);
    }
}

#[tokio::test]
async fn the_class_of_an_event_is_that_of_its_record() {
    let collector = with_known().await;
    let events = export(&collector, "ocsf").await;
    for (event, (attributes, class, activity, ..)) in events.iter().zip(known()) {
        assert_eq!(
            (&event["class_uid"], &event["activity_id"]),
            (&json!(class), &json!(activity)),
            "{attributes}"
        );
    }

    assert_eq!(events[0]["user"], json!({"uid": "7"}));
    assert_eq!(events[0]["status_id"], 1);
    assert_eq!(events[1]["user"], json!({"name": "unknown", "type_id": 0}));
    assert_eq!(events[1]["status_id"], 2);
    assert_eq!(events[4]["src_endpoint"], json!({"ip": "2001:db8::1"}));
    assert_eq!(events[5]["src_endpoint"], json!({"name": "not an address"}));
    assert_eq!(events[8]["unmapped"]["http.request.method"], "BREW");
    let (attributes, ..) = &known()[9];
    for (name, value) in attributes.as_object().unwrap() {
        assert_eq!(&events[9]["unmapped"][name], value, "kept as it was sent");
    }
}

/// Names of the fields with a value, and their values; what `labels` holds is free.
fn leaves<'v>(name: &str, value: &'v Value, found: &mut Vec<(String, &'v Value)>) {
    match value {
        Value::Object(members) if name != "labels" => {
            for (member, value) in members {
                let name = if name.is_empty() {
                    member.clone()
                } else {
                    format!("{name}.{member}")
                };
                leaves(&name, value, found);
            }
        }
        value => found.push((name.to_owned(), value)),
    }
}

fn is_of_type(value: &Value, kind: &str) -> bool {
    match kind {
        "keyword" | "match_only_text" | "wildcard" => value.is_string(),
        "long" => value.is_i64(),
        "ip" => value
            .as_str()
            .is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok()),
        "date" => value.as_str().is_some_and(|text| {
            text.len() == "2026-07-03T10:00:00.000000000Z".len() && text.ends_with('Z')
        }),
        _ => false,
    }
}

#[tokio::test]
async fn every_document_has_fields_of_ecs_with_their_types() {
    let list = fs::read_to_string(file("ecs-9.4.0.csv")).unwrap();
    let known: BTreeMap<&str, Vec<&str>> = list
        .lines()
        .map(|line| {
            let (name, rest) = line.split_once(',').unwrap();
            (name, rest.split(',').collect())
        })
        .collect();

    let collector = with_everything().await;
    for document in export(&collector, "ecs").await {
        assert_eq!(document["ecs"]["version"], "9.4.0");
        let mut fields = Vec::new();
        leaves("", &document, &mut fields);

        for (name, value) in fields {
            if name == "labels" {
                let labels = value.as_object().unwrap();
                let is_label =
                    |(name, value): (&String, &Value)| !name.contains('.') && value.is_string();
                assert!(labels.iter().all(is_label), "{value}");
                continue;
            }

            let [kind, form, allowed] = known
                .get(&*name)
                .unwrap_or_else(|| panic!("{name} is no field of ECS"))
                .as_slice()
            else {
                panic!("{name}");
            };
            let values: Vec<&Value> = match value {
                Value::Array(values) if *form == "array" => values.iter().collect(),
                value => vec![value],
            };
            for value in values {
                assert!(is_of_type(value, kind), "{name}: {value} is no {kind}");
                let names: Vec<_> = allowed
                    .split(' ')
                    .map(|value| value.split(':').next().unwrap())
                    .collect();
                assert!(
                    allowed.is_empty() || names.contains(&value.as_str().unwrap()),
                    "{name}: {value}"
                );
            }
        }

        // The schema lists the types that go with each category.
        for category in document["event"]["category"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let begin = format!("{}:", category.as_str().unwrap());
            let mut categories = known["event.category"][2].split(' ');
            let types = categories.find_map(|it| it.strip_prefix(&begin)).unwrap();
            for kind in document["event"]["type"].as_array().unwrap() {
                assert!(types.split('|').any(|it| it == kind), "{category}: {kind}");
            }
        }
    }
}

#[tokio::test]
async fn the_categories_of_a_document_are_those_of_its_record() {
    let collector = with_known().await;
    let documents = export(&collector, "ecs").await;
    for (document, (attributes, _, _, category, kind)) in documents.iter().zip(known()) {
        assert_eq!(
            (&document["event"]["category"], &document["event"]["type"]),
            (&category, &kind),
            "{attributes}"
        );
    }

    assert_eq!(documents[0]["event"]["outcome"], "success");
    assert_eq!(documents[1]["event"]["outcome"], "failure");
    assert_eq!(documents[1]["event"]["reason"], "denied");
    assert_eq!(documents[2]["event"]["outcome"], "unknown");
    assert_eq!(documents[4]["client"]["ip"], "2001:db8::1");
    assert_eq!(documents[5]["client"], json!({"address": "not an address"}));
    assert_eq!(documents[9]["labels"]["user_id"], "7");
    assert_eq!(
        documents[0]["event"]["start"],
        "2026-07-03T10:00:00.000000001Z"
    );
}

#[tokio::test]
async fn no_attribute_is_lost_and_no_duration_is_negative() {
    let collector = Collector::start().await;
    let odd = json!({"a.b": "dot", "a_b": "line"});
    let mut record = record_at("aud_1", 9, &odd);
    let duration = json!({"key": "audit.duration_ms", "value": {"doubleValue": -1.5}});
    record["attributes"].as_array_mut().unwrap().push(duration);
    collector.keep(&[record]).await;

    let document = &export(&collector, "ecs").await[0];
    let labels = &document["labels"];
    assert_eq!(
        (&labels["a_b"], &labels["a_b_2"]),
        (&json!("dot"), &json!("line"))
    );
    assert_eq!(labels["audit_duration_ms"], "-1.5");
    assert!(document["event"].get("duration").is_none(), "{document}");

    let event = &export(&collector, "ocsf").await[0];
    assert!(event.get("duration").is_none(), "{event}");
    assert_eq!(event["unmapped"]["audit.duration_ms"], -1.5);
}
