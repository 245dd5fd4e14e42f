//! The records that must reach the collector.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::requests::{LAPTOP, PHONE};
use super::table::aligned;
use super::{DEADLINE, Failure, POLL_EVERY, get_json};

/// The identifying fields of a record of the drive.
#[derive(Debug, PartialEq, Eq)]
struct Expected {
    rule: &'static str,
    action: &'static str,
    outcome: &'static str,
    status: &'static str,
    user: &'static str,
    context: &'static str,
}

/// Exactly these: the 401, the untracked call and the spoofed one leave no record.
const EXPECTED: [Expected; 4] = [
    // `/check` and `/check?x=1`: the query is not part of the path.
    check_record(),
    check_record(),
    tracked_record("change_password", "success", "OK", LAPTOP),
    tracked_record("delete_account", "denied", "PERMISSION_DENIED", PHONE),
];

const fn check_record() -> Expected {
    Expected {
        rule: "check",
        action: "GET /check",
        outcome: "success",
        status: "200",
        user: "42",
        context: "",
    }
}

const fn tracked_record(
    action: &'static str,
    outcome: &'static str,
    status: &'static str,
    context: &'static str,
) -> Expected {
    Expected {
        rule: "tracked",
        action,
        outcome,
        status,
        user: "",
        context,
    }
}

/// The records of exchanges, oldest first.
#[derive(Debug)]
pub(super) struct Records(Vec<Value>);

/// Polls until the expected number of records is there, or the deadline has passed.
pub(super) async fn wait(collector: SocketAddr) -> Result<(), Failure> {
    let deadline = Instant::now() + DEADLINE;
    while fetch(collector).await?.0.len() < EXPECTED.len() && Instant::now() < deadline {
        sleep(POLL_EVERY).await;
    }
    Ok(())
}

/// The collector's current records.
pub(super) async fn fetch(collector: SocketAddr) -> Result<Records, Failure> {
    parse(&get_json("collector", collector, "/api/records?limit=100").await?)
}

/// Leaves out the filter's internal events (`audit.stream.start` and similar).
fn parse(answer: &Value) -> Result<Records, Failure> {
    let list = answer
        .get("records")
        .and_then(Value::as_array)
        .ok_or("the collector's answer has no list of records")?;

    let of_exchange = |record: &&Value| {
        ["audit.http", "audit.rpc"].contains(&text(record, "event_name").as_str())
    };
    let mut records: Vec<Value> = list.iter().filter(of_exchange).cloned().collect();
    records.sort_by_key(start_time);

    Ok(Records(records))
}

impl Records {
    /// One line per record.
    pub(super) fn table(&self) -> String {
        let heading = [
            "time (UTC)",
            "rule",
            "action",
            "outcome",
            "status",
            "ms",
            "user",
            "client",
            "context",
        ];

        aligned(heading, &self.0.iter().map(row).collect::<Vec<_>>())
    }

    /// Every expected record is there once, and no other.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let mut left: Vec<&Value> = self.0.iter().collect();
        for expected in &EXPECTED {
            let Some(at) = left.iter().position(|record| expected.describes(record)) else {
                let Expected {
                    rule,
                    action,
                    outcome,
                    status,
                    ..
                } = expected;
                return Err(format!(
                    "a record is missing: rule {rule}, action {action}, {outcome} ({status})"
                ));
            };
            left.remove(at);
        }

        match left.first() {
            None => Ok(()),
            Some(extra) => Err(format!("this record should not exist: {extra}")),
        }
    }
}

impl Expected {
    fn describes(&self, record: &Value) -> bool {
        let found = [
            text(record, "audit.rule"),
            text(record, "audit.action"),
            text(record, "audit.outcome"),
            status(record),
            text(record, "user.id"),
            text(record, "audit.session.context"),
        ];

        found
            == [
                self.rule,
                self.action,
                self.outcome,
                self.status,
                self.user,
                self.context,
            ]
    }
}

fn row(record: &Value) -> [String; 9] {
    let duration = record.get("audit.duration_ms").and_then(Value::as_f64);

    [
        time_of_day(start_time(record)),
        text(record, "audit.rule"),
        text(record, "audit.action"),
        text(record, "audit.outcome"),
        status(record),
        duration.map_or_else(String::new, |ms| format!("{ms:.1}")),
        text(record, "user.id"),
        text(record, "client.address"),
        text(record, "audit.session.context"),
    ]
}

/// The gRPC status of a call, else the HTTP status.
fn status(record: &Value) -> String {
    let rpc = text(record, "rpc.response.status_code");
    if rpc.is_empty() {
        text(record, "http.response.status_code")
    } else {
        rpc
    }
}

/// A string as it is, anything else as JSON, nothing as "".
fn text(record: &Value, key: &str) -> String {
    match record.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn start_time(record: &Value) -> u64 {
    text(record, "time_unix_nano").parse().unwrap_or(0)
}

fn time_of_day(unix_nano: u64) -> String {
    let (seconds, milliseconds) = (unix_nano / 1_000_000_000, unix_nano / 1_000_000 % 1000);
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!(
        "{hours:02}:{minutes:02}:{:02}.{milliseconds:03}",
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> Value {
        let check = json!({"event_name": "audit.http", "time_unix_nano": "1000000000", "audit.rule": "check",
            "audit.action": "GET /check", "audit.outcome": "success", "http.response.status_code": 200,
            "user.id": "42"});

        let tracked = |time: &str, action: &str, outcome: &str, status: &str, context: &str| {
            json!({"event_name": "audit.rpc", "time_unix_nano": time, "audit.rule": "tracked",
                "audit.action": action, "audit.outcome": outcome, "rpc.response.status_code": status,
                "http.response.status_code": 200, "audit.session.context": context, "audit.duration_ms": 1.25})
        };

        json!({"records": [
            tracked("3723004000000", "delete_account", "denied", "PERMISSION_DENIED", PHONE),
            tracked("2000000000", "change_password", "success", "OK", LAPTOP),
            {"event_name": "audit.stream.start", "time_unix_nano": "1"},
            check, check,
        ]})
    }

    #[test]
    fn the_expected_records_pass_oldest_first() {
        let records = parse(&answer()).unwrap();
        assert_eq!(records.check(), Ok(()));

        let table = records.table();
        let last = table.lines().last().unwrap();
        assert!(
            last.starts_with(
                "  01:02:03.004  tracked  delete_account   denied   PERMISSION_DENIED  1.2"
            ),
            "{table}"
        );
    }

    #[test]
    fn missing_and_surplus_records_are_named() {
        let mut records = parse(&answer()).unwrap();
        let extra = json!({"event_name": "audit.http", "audit.rule": "other"});
        records.0.push(extra);
        assert!(records.check().unwrap_err().contains("should not exist"));

        records.0.clear();
        assert!(
            records
                .check()
                .unwrap_err()
                .contains("a record is missing: rule check")
        );

        assert!(parse(&json!({})).is_err());
    }
}
