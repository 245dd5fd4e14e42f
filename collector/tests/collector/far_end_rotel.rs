//! A collector that acknowledges before it stores, and is killed: `verify --from` names what its 2xx
//! has hidden.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::process::{answer, command};
use crate::rotel::{Rotel, free_addresses, poll};

/// Records of one stream as the filter sends them.
fn batch(numbers: Range<i64>) -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let integer =
        |key: &str, value: i64| json!({"key": key, "value": {"intValue": value.to_string()}});
    let next = numbers.end;
    let records: Vec<_> = numbers
        .map(|number| {
            let uid = format!("aud_{number}");
            json!({"timeUnixNano": "1783072800000000000", "observedTimeUnixNano": "1783072800000000000",
                "eventName": "audit.http", "body": {"stringValue": "GET /check success"},
                "attributes": [text("log.record.uid", &uid), integer("audit.sequence.number", number)]})
        })
        .collect();

    let scope = json!({"name": "audit-filter",
        "attributes": [text("audit.stream.id", "s"), integer("audit.sequence.next", next)]});
    json!({"resourceLogs": [{"resource": {"attributes": [text("service.name", "shop")]},
        "scopeLogs": [{"scope": scope, "logRecords": records}]}]})
}

/// Rotel answers 200.
fn send(rotel: &Rotel, numbers: Range<i64>) {
    let body = batch(numbers).to_string();
    let mut stream = TcpStream::connect(&rotel.address).unwrap();
    write!(
        stream,
        "POST /v1/logs HTTP/1.1\r\nhost: rotel\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    assert_eq!(answer(stream).0, 200);
}

/// The far end: appends each request as a line of JSON, as a file exporter does.
async fn serve(address: String, file: PathBuf) {
    let append = |body: Bytes| async move {
        let mut plain = Vec::new();
        GzDecoder::new(&*body).read_to_end(&mut plain).unwrap();
        let request = ExportLogsServiceRequest::decode(&*plain).unwrap();
        let line = serde_json::to_string(&request).unwrap();
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&file)
            .unwrap();
        writeln!(file, "{line}").unwrap();
    };

    let listener = TcpListener::bind(address).await.unwrap();
    let app = Router::new().route("/v1/logs", post(append));
    axum::serve(listener, app).await.unwrap();
}

fn has_arrived(file: &Path, number: i64) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.contains(&format!("\"aud_{number}\""))
}

fn verify(file: &Path) -> (Option<i32>, String) {
    let mut command = command(&["verify", "--from", "ndjson"]);
    let output = command.arg(file).output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_collector_had_acknowledged_is_named() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("requests.json");
    let [target] = free_addresses();

    // Nothing listens at the far end, so all of it is in Rotel's memory.
    let rotel = Rotel::start(&target);
    send(&rotel, 0..4);
    send(&rotel, 4..10);
    drop(rotel);

    tokio::spawn(serve(target.clone(), file.clone()));
    let rotel = Rotel::start(&target);
    send(&rotel, 10..15);
    poll("the record arrives", || has_arrived(&file, 14));

    let (code, text) = verify(&file);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains(
            "  stream s (shop): gap, 10 to 14, without a known end\n    0 to 9 missing\n"
        ),
        "{text}"
    );
    assert!(
        text.ends_with("unexplained gaps: 10\nsilent streams: 0\nNOT COMPLETE\n"),
        "{text}"
    );

    // A sender that had kept them sends them again, and some of the others.
    send(&rotel, 0..12);
    poll("the records arrive", || has_arrived(&file, 0));
    let (code, text) = verify(&file);
    assert!(
        code == Some(0) && text.starts_with("records: 17, repeated: 2,"),
        "{text}"
    );
    assert!(text.ends_with("\ncomplete\n"), "{text}");
}
