//! Golden files of the wire: the filter writes the bytes with which its readers are tested.
//!
//! `UPDATE_GOLDEN=1` rewrites the files; read the difference before you commit it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test; the lint's exception covers test functions only, not their helpers"
)]

mod records;
mod reference;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use audit_filter::host::SharedData;
use audit_filter::pipeline::Pipeline;
use audit_filter::pipeline::journal::{Authenticated, Key, StreamOwner};
use audit_filter::record::{Action, Event, ExchangeRecord, Loss, LossReason, Stage, StreamLimits};
use audit_filter::recorder::tracking::Context;
use audit_filter::time::Now;
use audit_filter::wire::{Encoder, Format, Numbered, Origin, Resource, Room};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;
use serde_json::{Value, json};
use uuid::Uuid;

use records::{
    anonymous, check, denied_call, hashed_context, login, odd_bytes, received, transcoded_call,
    tunnel,
};

const STREAM: Uuid = Uuid::from_u128(0x7c9e_6679_7425_40de_944b_e07f_c1f9_0ae7);
const BATCH: Uuid = Uuid::from_u128(0x0b4c_2f9e_5a1d_4d53_9a3e_2f3f_0f6f_7a10);
const OWN: Origin = Origin {
    stream_id: STREAM,
    recovered: false,
};
const RECOVERED: Origin = Origin {
    stream_id: STREAM,
    recovered: true,
};
/// UUIDv7 of the first record; the others follow it.
const FIRST_UID: u128 = 0x019f_2c4d_8f00_7000_8000_0000_0000_0000;
/// More digits than a double can represent.
const START: u64 = 1_783_072_800_000_000_001;

/// Attributes of the resource, the same for the life of the process.
const RESOURCE: [&str; 5] = [
    "service.name",
    "service.instance.id",
    "telemetry.sdk.name",
    "telemetry.sdk.language",
    "telemetry.sdk.version",
];

/// Attributes of the scope: the stream and the batch.
const SCOPE: [&str; 4] = [
    "audit.stream.id",
    "audit.batch.id",
    "audit.sequence.next",
    // Only in a batch that is sent for a stream of a crashed VM.
    "audit.recovered",
];

/// One more than the number of the last record.
const NEXT: u64 = 14;

const LIMITS: StreamLimits = StreamLimits {
    alive_interval_ms: 30_000,
    buffer_records: 10_000,
};

/// The attributes of the contract, section 4.
const ATTRIBUTES: [&str; 62] = [
    "log.record.uid",
    "audit.rule",
    "audit.action",
    "audit.outcome",
    "audit.stage",
    "audit.started.number",
    "audit.termination",
    "audit.sequence.number",
    "audit.duration_ms",
    "audit.session.context",
    "audit.header_conflict",
    "audit.priority",
    "http.request.method",
    "url.path",
    "http.route",
    "server.address",
    // Tunnels only.
    "server.port",
    "http.response.status_code",
    "network.protocol.version",
    "user_agent.original",
    "rpc.system.name",
    "rpc.method",
    "rpc.response.status_code",
    "audit.rpc.status_source",
    "audit.rpc.dialect",
    "client.address",
    "audit.peer.uri_san",
    "audit.request_id",
    "audit.upstream.cluster",
    "audit.response.flags",
    "audit.response.code_details",
    "error.message",
    "audit.tag.retention",
    "audit.tag.owner.team",
    "audit.sequence.next",
    // Only in the start of a stream and in its signs of life.
    "audit.stream.alive_interval_ms",
    "audit.buffer.max_records",
    "audit.loss.reason",
    "audit.loss.count",
    "audit.loss.first_number",
    "audit.loss.last_number",
    "audit.correlation.session_id",
    "audit.correlation.number",
    "session.id",
    "session.token_ref",
    "audit.session.event",
    "user.id",
    "user.name",
    "user.email",
    "audit.identity.source",
    "audit.auth",
    "audit.capture.query.lang",
    "audit.capture.request_headers.authorization",
    // Flag of a session id that is not printable or too long.
    "audit.session.id_hashed",
    // Flag of a context that was longer than `tracking.max_context_bytes`.
    "audit.session.context_hashed",
    "audit.session.context_length",
    // Additional fields of NDJSON.
    "time_unix_nano",
    "observed_time_unix_nano",
    "event_name",
    "severity_number",
    "trace_id",
    "span_id",
];

/// A host that stores nothing: no batch of the test outlives its VM.
#[derive(Debug)]
struct NoSharedData;

impl SharedData for NoSharedData {
    fn get(&self, _key: &str) -> Option<(Vec<u8>, u32)> {
        None
    }

    fn set(&self, _key: &str, _value: &[u8]) {}

    fn replace(&self, _key: &str, _value: &[u8], _version: Option<u32>) -> bool {
        false
    }
}

fn events() -> Vec<Event> {
    let exchange = |record: ExchangeRecord| Event::Exchange(Box::new(record));

    vec![
        Event::StreamStart(LIMITS),
        exchange(check()),
        exchange(denied_call()),
        exchange(hashed_context()),
        exchange(odd_bytes()),
        exchange(received()),
        exchange(login()),
        exchange(anonymous()),
        exchange(transcoded_call()),
        exchange(tunnel(Stage::Started)),
        exchange(tunnel(Stage::Complete)),
        Event::Loss(Loss {
            reason: LossReason::BufferFull,
            count: 3,
            first: 5,
            last: 9,
        }),
        Event::StreamAlive(LIMITS),
        Event::StreamEnd { next: NEXT },
    ]
}

fn resource(service: &str) -> Resource {
    Resource {
        service: service.to_owned(),
        instance: "sidecar~10.0.0.7~shop-1.shop~shop.svc".to_owned(),
    }
}

fn batch(format: Format) -> Vec<u8> {
    let mut encoder = Encoder::new(format, resource("shop \"eins\""));
    let fragments: Vec<Box<[u8]>> = (0..)
        .zip(events())
        .map(|(number, event)| {
            encoder.record(&Numbered {
                number,
                uid: Uuid::from_u128(FIRST_UID + u128::from(number)),
                time_unix_nanos: START + number,
                observed_unix_nanos: START + number + 10_000_000,
                event: &event,
            })
        })
        .collect();
    let body = encoder.batch(
        OWN,
        NEXT,
        BATCH,
        Room::default(),
        fragments.iter().map(AsRef::as_ref),
    );

    for (fragment, range) in fragments.iter().zip(body.fragments) {
        assert_eq!(body.bytes.get(range), Some(fragment.as_ref()));
    }
    body.bytes
}

#[track_caller]
fn check_file(name: &str, written: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, written).unwrap();
    }

    let golden = fs::read(&path).unwrap();
    assert!(
        written == golden,
        "{name} has changed; UPDATE_GOLDEN=1 rewrites it"
    );
}

#[test]
fn protobuf_is_byte_for_byte_the_file() {
    check_file("otlp-batch.binpb", &batch(Format::OtlpProtobuf));
}

#[test]
fn otlp_json_is_byte_for_byte_the_file() {
    check_file("otlp-batch.json", &batch(Format::OtlpJson));
}

#[test]
fn ndjson_is_byte_for_byte_the_file() {
    check_file("batch.ndjson", &batch(Format::Ndjson));
}

/// The resource, the scope and the records.
fn otlp_records() -> (Value, Value, Vec<Value>) {
    let request: Value = serde_json::from_slice(&batch(Format::OtlpJson)).unwrap();
    let [group] = &request["resourceLogs"].as_array().unwrap()[..] else {
        panic!("{request}")
    };
    let [scope] = &group["scopeLogs"].as_array().unwrap()[..] else {
        panic!("{request}")
    };
    assert_eq!(scope["scope"]["name"], "audit-filter");

    (
        group["resource"].clone(),
        scope["scope"].clone(),
        scope["logRecords"].as_array().unwrap().clone(),
    )
}

fn keys(parent: &Value) -> Vec<String> {
    parent["attributes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["key"].as_str().unwrap().to_owned())
        .collect()
}

fn attribute<'v>(record: &'v Value, name: &str) -> Option<&'v Value> {
    record["attributes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["key"] == name)
        .map(|entry| &entry["value"])
}

/// Requirements of an OTLP/JSON reader: one member, integers as decimal strings.
fn check_value(value: &Value) {
    let members: Vec<_> = value.as_object().unwrap().iter().collect();
    let [(kind, inner)] = members[..] else {
        panic!("{value}")
    };

    let is_right = match kind.as_str() {
        "stringValue" => inner.is_string(),
        "boolValue" => inner.is_boolean(),
        "doubleValue" => inner.is_number(),
        "intValue" => inner
            .as_str()
            .is_some_and(|digits| digits.parse::<i64>().is_ok()),
        _ => false,
    };
    assert!(is_right, "{value}");
}

#[test]
fn otlp_follows_the_contract() {
    let (resource, scope, records) = otlp_records();
    let (recovered, always) = SCOPE.split_last().unwrap();
    assert_eq!(keys(&scope), always);
    assert_eq!(
        attribute(&scope, "audit.sequence.next"),
        Some(&json!({"intValue": NEXT.to_string()}))
    );

    let body = Encoder::new(Format::OtlpJson, self::resource("shop")).batch(
        RECOVERED,
        1,
        BATCH,
        Room::default(),
        std::iter::once(b"{}".as_slice()),
    );
    let body: Value = serde_json::from_slice(&body.bytes).unwrap();
    let group = &body["resourceLogs"][0];
    let scope = &group["scopeLogs"][0]["scope"];
    assert_eq!(keys(scope), SCOPE);
    assert_eq!(
        attribute(scope, recovered),
        Some(&json!({"boolValue": true}))
    );

    assert_eq!(keys(&resource), RESOURCE);
    let of_another_batch = keys(&group["resource"]);
    assert_eq!(of_another_batch, RESOURCE, "the same for all batches");

    for (number, record) in records.iter().enumerate() {
        let digits = |name: &str| record[name].as_str().unwrap().parse::<u64>().unwrap();
        assert_eq!(digits("timeUnixNano"), START + number as u64, "not rounded");
        assert!(digits("observedTimeUnixNano") >= digits("timeUnixNano"));

        let names = keys(record);
        let unique: BTreeSet<&String> = names.iter().collect();
        assert_eq!(unique.len(), names.len(), "{names:?}");

        for name in &names {
            assert!(
                ATTRIBUTES.contains(&name.as_str()),
                "{name} is not in the contract"
            );
            check_value(attribute(record, name).unwrap());
        }

        let uid = attribute(record, "log.record.uid").unwrap()["stringValue"]
            .as_str()
            .unwrap();
        assert_eq!(
            Uuid::parse_str(uid.strip_prefix("aud_").unwrap())
                .unwrap()
                .get_version_num(),
            7
        );

        for (name, digits) in [("traceId", 32), ("spanId", 16)] {
            if let Some(id) = record.get(name).and_then(Value::as_str) {
                assert!(
                    id.len() == digits && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
                    "{id}"
                );
            }
        }
    }
}

#[test]
fn severities_bodies_and_names() {
    let (_, _, records) = otlp_records();
    let found: Vec<_> = records
        .iter()
        .map(|record| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (
                text(&record["severityText"]),
                record["severityNumber"].as_u64().unwrap(),
                text(&record["eventName"]),
                text(&record["body"]["stringValue"]),
            )
        })
        .collect();

    let expected = [
        (9, "audit.stream.start", "audit.stream.start"),
        (9, "audit.http", "GET /check success"),
        (13, "audit.rpc", "account.delete denied"),
        (17, "audit.http", "backup failure"),
        (
            13,
            "audit.http",
            "Pa\u{df}wort \u{e4}ndern \u{2713} \u{2028} aborted",
        ),
        (9, "audit.http", "POST /v1/password received"),
        (9, "audit.http", "POST /token success"),
        (9, "audit.http", "POST /logout success"),
        (13, "audit.rpc", "/shop.Users/Get failure"),
        (9, "audit.http", "CONNECT target.example:443 started"),
        (9, "audit.http", "CONNECT target.example:443 success"),
        (17, "audit.loss", "audit.loss"),
        (9, "audit.stream.alive", "audit.stream.alive"),
        (9, "audit.stream.end", "audit.stream.end"),
    ];

    assert_eq!(
        found,
        expected.map(|(severity, name, body)| {
            let text = match severity {
                9 => "INFO",
                13 => "WARN",
                _ => "ERROR",
            };
            (text.to_owned(), severity, name.to_owned(), body.to_owned())
        })
    );
}

#[test]
fn values_arrive_as_they_were() {
    let (_, _, records) = otlp_records();
    let text = |index: usize, name: &str| {
        attribute(&records[index], name).map(|value| value["stringValue"].as_str().unwrap())
    };
    assert_eq!(text(2, "rpc.method"), Some("shop.Users/Delete"));
    assert_eq!(
        text(2, "error.message"),
        Some("kein Zugriff f\u{fc}r \u{4f60} \u{1f512}")
    );

    assert_eq!(text(2, "audit.tag.owner.team"), Some("id & access"));
    assert_eq!(
        attribute(&records[1], "audit.duration_ms").unwrap()["doubleValue"].as_f64(),
        Some(1.25)
    );
    assert_eq!(
        attribute(&records[3], "audit.session.context_length").unwrap()["intValue"],
        "70000"
    );

    assert_eq!(
        text(4, "user_agent.original"),
        Some("\"quoted\" back\\slash tab\t esc\u{1b} del\u{7f} one\u{1} line\r\nend")
    );
    assert_eq!(
        text(4, "audit.session.context"),
        Some("a\u{fffd}b\u{fffd}(\u{20ac}\u{fffd}")
    );

    assert_eq!(attribute(&records[4], "http.response.status_code"), None);
    assert_eq!(
        (text(5, "audit.stage"), text(5, "audit.priority")),
        (Some("received"), Some("immediate"))
    );
    assert!(
        attribute(&records[5], "audit.outcome").is_none()
            && attribute(&records[5], "audit.duration_ms").is_none()
    );

    assert_eq!(
        (text(6, "user.id"), text(6, "user.name")),
        (Some("9007199254740993"), Some("J\u{f6}rg \"O\""))
    );
    assert_eq!(
        attribute(&records[6], "audit.correlation.number").unwrap()["intValue"],
        "2147483646"
    );

    assert_eq!(
        attribute(&records[7], "audit.session.id_hashed").unwrap()["boolValue"],
        true
    );
    assert_eq!(
        (text(8, "rpc.method"), text(8, "audit.rpc.dialect")),
        (Some("shop.Users/Get"), Some("transcoded"))
    );

    assert_eq!(
        (text(9, "audit.stage"), text(9, "audit.termination")),
        (Some("started"), None)
    );
    assert_eq!(
        (text(10, "audit.stage"), text(10, "audit.termination")),
        (Some("complete"), Some("client"))
    );

    for (name, digits) in [("audit.started.number", "9"), ("server.port", "443")] {
        assert_eq!(attribute(&records[10], name).unwrap()["intValue"], digits);
    }
    assert_eq!(text(11, "audit.loss.reason"), Some("buffer_full"));

    for index in [0, 12] {
        assert_eq!(
            attribute(&records[index], "audit.stream.alive_interval_ms").unwrap()["intValue"],
            "30000"
        );
        assert_eq!(
            attribute(&records[index], "audit.buffer.max_records").unwrap()["intValue"],
            "10000"
        );
    }

    assert_eq!(
        attribute(&records[13], "audit.sequence.next").unwrap()["intValue"],
        "14"
    );
}

/// Protobuf and JSON are two encodings of one message: an independent reader of both finds the same
/// content.
#[test]
fn the_protobuf_is_the_json() {
    let from_json: ExportLogsServiceRequest =
        serde_json::from_slice(&batch(Format::OtlpJson)).unwrap();
    let from_protobuf =
        ExportLogsServiceRequest::decode(batch(Format::OtlpProtobuf).as_slice()).unwrap();
    assert_eq!(from_protobuf, from_json);
}

/// Lengths of all sizes, and invalid UTF-8, are the same in both encodings.
#[test]
fn long_values_are_the_same_in_protobuf_and_in_json() {
    for length in [
        0, 1, 60, 90, 100, 110, 120, 127, 128, 200, 16_383, 16_384, 70_000,
    ] {
        let mut record = check();
        record.captured = vec![("audit.capture.query.x".into(), vec![0xff; length])];
        record.context = Some(Context::Whole(vec![b'x'; length]));
        record.action = Action::Text(vec![b'"'; length]);

        let event = Event::Exchange(Box::new(record));
        let [from_json, from_protobuf] =
            [Format::OtlpJson, Format::OtlpProtobuf].map(|format| one(format, &event));
        let from_json: ExportLogsServiceRequest = serde_json::from_slice(&from_json).unwrap();
        assert_eq!(
            ExportLogsServiceRequest::decode(from_protobuf.as_slice()).unwrap(),
            from_json,
            "{length}"
        );
    }
}

/// A batch of one record.
fn one(format: Format, event: &Event) -> Vec<u8> {
    let mut encoder = Encoder::new(format, resource("shop"));
    let uid = Uuid::from_u128(FIRST_UID);
    let numbered = Numbered {
        number: u64::MAX >> 1,
        uid,
        time_unix_nanos: START,
        observed_unix_nanos: START,
        event,
    };
    let fragment = encoder.record(&numbered);

    encoder
        .batch(
            RECOVERED,
            NEXT,
            BATCH,
            Room::default(),
            std::iter::once(&*fragment),
        )
        .bytes
}

/// Both formats have the same content under the same names.
#[test]
fn ndjson_lines_are_the_otlp_records() {
    let (resource, scope, records) = otlp_records();
    let text = String::from_utf8(batch(Format::Ndjson)).unwrap();
    assert!(text.ends_with('\n'));
    assert!(
        text.lines()
            .all(|line| line.matches("\"audit.sequence.next\":").count() == 1),
        "a name stands once in an object"
    );

    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), records.len());

    for (line, record) in lines.iter().zip(&records) {
        let line = line.as_object().unwrap();
        for name in line.keys() {
            assert!(
                [ATTRIBUTES.as_slice(), &RESOURCE, &SCOPE]
                    .concat()
                    .contains(&name.as_str()),
                "{name}"
            );
        }

        let attributes = [&resource, &scope, record]
            .into_iter()
            .flat_map(|parent| parent["attributes"].as_array().unwrap());

        for entry in attributes {
            let plain = entry["value"].as_object().unwrap().values().next().unwrap();
            let found = &line[entry["key"].as_str().unwrap()];
            assert!(
                found == plain || Some(found.to_string().as_str()) == plain.as_str(),
                "{entry}: {found}"
            );
        }

        assert_eq!(
            line["time_unix_nano"].to_string(),
            record["timeUnixNano"].as_str().unwrap()
        );
        assert_eq!(line["severity_number"], record["severityNumber"]);
        assert_eq!(line["event_name"], record["eventName"]);
        assert_eq!(line.get("trace_id"), record.get("traceId"));
        assert_eq!(line.get("span_id"), record.get("spanId"));
    }
}

/// With one seed, one clock and one stream, the output is the same.
#[test]
fn a_pipeline_writes_the_same_twice() {
    let config = br#"{"audit_cluster": {"cluster": "audit"}, "service": "shop"}"#;
    let settings = audit_filter::config::parse(config, &|_| None)
        .unwrap()
        .pipeline;

    let write = |seed: u64| {
        let owner = StreamOwner::new(Uuid::nil(), STREAM, b"plugin", &settings);
        let shared = Authenticated::new(Rc::new(NoSharedData), &[], Key::of_secret(b"process"));
        let mut pipeline = Pipeline::new(
            settings.clone(),
            owner,
            seed,
            Rc::new(shared),
            Rc::default(),
            Rc::default(),
        );

        let now = |seconds| Now {
            unix_nanos: START,
            uptime: Duration::from_secs(seconds),
        };
        let _ = pipeline.handle_exchange(Box::new(check()), None, now(1));
        let callout = pipeline.poll_callout(now(5)).unwrap();
        let body = callout.body.to_vec();
        let id = callout.batch_id.to_string();
        assert!(body.windows(id.len()).any(|window| window == id.as_bytes()));
        assert_eq!(callout.batch_id.get_version_num(), 4);

        body
    };

    assert_eq!(write(7), write(7));
    assert_ne!(write(7), write(8), "ids depend on the seed");
}
