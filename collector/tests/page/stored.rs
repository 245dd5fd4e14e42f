//! A collector with records that a test has sent.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::client::{CallOptions, http_request};

use crate::browser::DEADLINE;
use crate::fake::ago;
use crate::supervised::{End, Supervised};

/// The collector, on an empty database of its own; it ends when this is dropped.
pub(crate) struct Stored {
    address: SocketAddr,
    _collector: Supervised,
    _folder: TempDir,
}

impl Stored {
    pub(crate) async fn start(records: &[Value]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}/audit.db", folder.path().display());
        let flags = ["--listen", "127.0.0.1:0", "--database", &database];

        let program = env!("CARGO_BIN_EXE_audit-collector");
        let mut collector = Supervised::start(End::Kill, program, &flags);
        let address = collector.printed(DEADLINE, |line| {
            line.strip_prefix("listening on http://")?.parse().ok()
        });

        let stored = Self {
            address: address.unwrap(),
            _collector: collector,
            _folder: folder,
        };
        stored.send(records).await;
        stored
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stores records, as a filter with `format: ndjson` sends them.
    pub(crate) async fn send(&self, records: &[Value]) {
        let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
        let headers = [("content-type", "application/x-ndjson")];
        let options = CallOptions::default();
        let answer = http_request(self.address, "POST", "/v1/logs", headers, lines, &options)
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// A line of NDJSON: an exchange with this sequence number, this many seconds old, with more
/// attributes.
pub(crate) fn line(number: i64, seconds_ago: i64, more: &Value) -> Value {
    let mut line = json!({
        "log.record.uid": format!("aud_{number}"), "time_unix_nano": ago(seconds_ago),
        "observed_time_unix_nano": ago(seconds_ago), "severity_number": 9, "event_name": "audit.http",
        "audit.rule": "check", "audit.action": "GET /check", "audit.outcome": "success",
        "audit.stage": "complete", "audit.sequence.number": number,
        "audit.stream.id": "0b51a9c2-8d1f-4c3e-9b7a-1f2e3d4c5b6a",
    });
    let attributes = line.as_object_mut().unwrap();
    attributes.extend(more.as_object().unwrap().clone());
    attributes.retain(|_, value| !value.is_null());

    line
}
