//! Batches as the filter writes them, assembled from prepared pieces at almost no cost for the load
//! generator.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

const GOLDEN: &str = include_str!("../../../tests/fixtures/otlp-batch.json");

/// Records of a batch; the filter's default.
pub const RECORDS: u64 = 100;
/// Users of the records; each has one session.
const USERS: u64 = 1000;

/// The text of a batch, split at its variable values.
pub struct Batches {
    /// Up to the stream id, from there to the batch id, and so on to the first record.
    resource: Vec<String>,
    record: Vec<String>,
    end: String,
    start_unix_nano: u64,
    step_nanos: u64,
}

impl Batches {
    /// Takes an ordinary exchange from the golden file, and gives it a user and a session. In every
    /// stream, `records` of them are spread over the time from `span` ago until now.
    #[expect(clippy::disallowed_methods, reason = "the records end now")]
    pub fn new(span: Duration, records: u64) -> Self {
        let span_nanos = u64::try_from(span.as_nanos()).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let start_unix_nano = u64::try_from(now.as_nanos()).unwrap() - span_nanos;

        let mut batch: Value = serde_json::from_str(GOLDEN).unwrap();
        let group = &mut batch["resourceLogs"][0];
        let scope = &mut group["scopeLogs"][0]["scope"];
        for (name, place) in [
            ("audit.stream.id", "@stream@"),
            ("audit.batch.id", "@batch@"),
        ] {
            set(scope, name, json!({"stringValue": place}));
        }

        let mut record = group["scopeLogs"][0]["logRecords"][1].take();
        record["timeUnixNano"] = "@time@".into();
        record["observedTimeUnixNano"] = "@time@".into();
        set(
            &mut record,
            "log.record.uid",
            json!({"stringValue": "aud_@uid@"}),
        );
        set(
            &mut record,
            "audit.sequence.number",
            json!({"intValue": "@number@"}),
        );
        set(&mut record, "user.id", json!({"stringValue": "@user@"}));
        set(
            &mut record,
            "session.id",
            json!({"stringValue": "session-of-@user@"}),
        );

        group["scopeLogs"][0]["logRecords"] = json!(["@records@"]);
        let text = batch.to_string();
        let (resource, end) = text.split_once("\"@records@\"").unwrap();

        Self {
            resource: pieces(resource),
            record: pieces(&record.to_string()),
            end: end.to_owned(),
            start_unix_nano,
            step_nanos: span_nanos / records,
        }
    }

    /// The batch with this index of the stream with this number; both are part of every uid.
    pub fn body(&self, stream: u64, index: u64) -> Vec<u8> {
        let mut body = Vec::with_capacity(200 * 1024);
        fill(&mut body, &self.resource, |name| match name {
            "stream" => format!("be7c4000-0000-4000-8000-{stream:012}"),
            _ => format!("ba7c4000-0000-4000-{stream:04}-{index:012}"),
        });

        for number in index * RECORDS..(index + 1) * RECORDS {
            if number > index * RECORDS {
                body.push(b',');
            }
            fill(&mut body, &self.record, |name| match name {
                "time" => (self.start_unix_nano + number * self.step_nanos).to_string(),
                "uid" => format!("019f2c4d-8f00-7000-{stream:04}-{number:012}"),
                "user" => (number * 7919 % USERS).to_string(),
                _ => number.to_string(),
            });
        }

        body.extend_from_slice(self.end.as_bytes());
        body
    }
}

/// Texts and the names of the values between them, alternating.
fn pieces(text: &str) -> Vec<String> {
    text.split('@').map(str::to_owned).collect()
}

fn fill(body: &mut Vec<u8>, pieces: &[String], value: impl Fn(&str) -> String) {
    for (index, piece) in pieces.iter().enumerate() {
        if index.is_multiple_of(2) {
            body.extend_from_slice(piece.as_bytes());
        } else {
            body.extend_from_slice(value(piece).as_bytes());
        }
    }
}

fn set(parent: &mut Value, name: &str, value: Value) {
    let attributes = parent["attributes"].as_array_mut().unwrap();
    attributes.retain(|attribute| attribute["key"] != name);
    attributes.push(json!({"key": name, "value": value}));
}
