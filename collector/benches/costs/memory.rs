//! Memory of the collector when 64 connections send batches of 1 MiB at once, in each encoding.
//! Prints its peak (`VmHWM`); each line has a fresh collector.

use std::io::Write as _;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;
use tempfile::TempDir;
use testkit::collector::{Client, JSON, Program, post};
use testkit::now;

const CONNECTIONS: usize = 64;
const BATCHES: usize = 4;
const BATCH_BYTES: usize = 1024 * 1024;

/// A batch of the filter; its second record is repeated here.
const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/fixtures/otlp-batch.json"
);

/// How often a sender tries again after a refusal, and after how long.
const ATTEMPTS: usize = 10_000;
const PAUSE: Duration = Duration::from_millis(20);

type Write = fn(&str) -> (&'static str, Vec<u8>);

/// Measures each encoding.
pub fn run() {
    println!("{CONNECTIONS} connections, {BATCHES} batches each");
    println!("body               bytes  stored  told to wait  seconds  peak RSS");
    let kinds: [(&str, Write); 4] = [
        ("JSON", |json| (JSON, json.as_bytes().to_vec())),
        ("JSON, gzip", |json| {
            (
                "content-type: application/json\r\ncontent-encoding: gzip",
                gzip(json),
            )
        }),
        ("protobuf", |json| {
            ("content-type: application/x-protobuf", protobuf(json))
        }),
        ("many attributes", |_| {
            ("content-type: application/x-protobuf", dense())
        }),
    ];

    for (name, write) in kinds {
        measure(name, write);
    }
}

fn measure(name: &str, write: Write) {
    let directory = TempDir::new().unwrap();
    let database = format!("sqlite://{}", directory.path().join("audit.db").display());
    let collector = Program::start(&database);
    let address = collector.address;
    let before = peak_kib(&collector);

    let start = now();
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|sender| {
            thread::spawn(move || {
                (0..BATCHES)
                    .map(|batch| send(address, write(&json(&format!("{sender}-{batch}")))))
                    .sum::<usize>()
            })
        })
        .collect();
    let waits: usize = senders
        .into_iter()
        .map(|sender| sender.join().unwrap())
        .sum();

    let seconds = start.elapsed().as_secs_f64();
    let bytes = write(&json("0-0")).1.len();
    let peak = peak_kib(&collector) / 1024;
    let stored = CONNECTIONS * BATCHES;
    println!(
        "{name:<16} {bytes:>7}  {stored:>6}  {waits:>12}  {seconds:>7.1}  {peak:>4} MiB (idle {} MiB)",
        before / 1024
    );

    collector.kill();
}

/// The peak memory of the program, in KiB (`proc(5)`).
fn peak_kib(program: &Program) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

/// Sends a batch until it is stored, and returns the number of refusals.
fn send(address: SocketAddr, (headers, body): (&str, Vec<u8>)) -> usize {
    for attempt in 0..ATTEMPTS {
        match exchange(address, headers, &body) {
            200 => return attempt,
            429 | 503 => thread::sleep(PAUSE),
            other => panic!("status {other}"),
        }
    }
    panic!("never stored");
}

fn exchange(address: SocketAddr, headers: &str, body: &[u8]) -> u16 {
    let mut client = Client::connect(address).unwrap();
    client.exchange(&post(headers, body)).unwrap().status
}

/// A batch of the filter's records, with uids made from `name`.
fn json(name: &str) -> String {
    let golden: serde_json::Value =
        serde_json::from_slice(&std::fs::read(GOLDEN).unwrap()).unwrap();
    let record = golden["resourceLogs"][0]["scopeLogs"][0]["logRecords"][1].to_string();
    let uid = "aud_019f2c4d-8f00-7000-8000-000000000001";
    assert!(record.contains(uid));

    let number = BATCH_BYTES / (record.len() + 1);
    let records: Vec<_> = (0..number)
        .map(|index| record.replace(uid, &format!("aud_{name}-{index:036}")))
        .collect();

    format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#,
        records.join(",")
    )
}

fn gzip(json: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(json.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn protobuf(json: &str) -> Vec<u8> {
    serde_json::from_str::<ExportLogsServiceRequest>(json)
        .unwrap()
        .encode_to_vec()
}

/// The batch that costs the most memory for its length: short, distinct attributes in one record.
fn dense() -> Vec<u8> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

    let attribute = |number: usize| KeyValue {
        key: format!("{number:x}"),
        value: Some(AnyValue {
            value: Some(Value::BoolValue(true)),
        }),
        ..KeyValue::default()
    };

    let attributes = (0..BATCH_BYTES / 13).map(attribute).collect();
    let scope = ScopeLogs {
        log_records: vec![LogRecord {
            attributes,
            ..LogRecord::default()
        }],
        ..ScopeLogs::default()
    };
    let group = ResourceLogs {
        scope_logs: vec![scope],
        ..ResourceLogs::default()
    };

    ExportLogsServiceRequest {
        resource_logs: vec![group],
    }
    .encode_to_vec()
}
