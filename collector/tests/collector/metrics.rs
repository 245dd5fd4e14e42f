//! `GET /metrics`.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::collector::Client;

use crate::common::{Collector, LIMITS, RECEIVED_AT, batch, gzip, record, record_at};
use crate::encodings::{GOLDEN_RECORDS, JSON, NDJSON, PROTOBUF, golden};
use crate::process::Program;

async fn lines(collector: &Collector) -> Vec<String> {
    let answer = collector.get("/metrics").await;
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.bytes)
        .unwrap()
        .lines()
        .map(ToOwned::to_owned)
        .collect()
}

fn assert_has(lines: &[String], line: &str) {
    assert!(
        lines.iter().any(|one| one == line),
        "{line}\n{}",
        lines.join("\n")
    );
}

#[tokio::test]
async fn what_came_in_is_counted() {
    let collector = Collector::start().await;
    let sent = batch(&[record("aud_1", &[]), record("aud_2", &[])]);
    let mut bytes = 2 * sent.len();

    for _ in 0..2 {
        collector.post(sent.clone()).await;
    }

    let [_, (_, protobuf), _] = golden();
    bytes += protobuf.len();
    collector.post_with(&[PROTOBUF], protobuf).await;

    let compressed = gzip(b"{}\noops");
    bytes += compressed.len();
    collector
        .post_with(&[NDJSON, ("content-encoding", "gzip")], compressed)
        .await;
    let lines = lines(&collector).await;

    let expected = [
        "audit_collector_requests_total{encoding=\"json\",status=\"200\"} 2",
        "audit_collector_requests_total{encoding=\"protobuf\",status=\"200\"} 1",
        "audit_collector_requests_total{encoding=\"ndjson\",status=\"400\"} 1",
        &format!(
            "audit_collector_records_received_total {}",
            GOLDEN_RECORDS + 4
        ),
        &format!(
            "audit_collector_records_stored_total {}",
            GOLDEN_RECORDS + 2
        ),
        "audit_collector_records_duplicate_total 2",
        "audit_collector_records_conflict_total 0",
        &format!("audit_collector_body_bytes_total {bytes}"),
        "audit_collector_request_duration_seconds_count 4",
        "audit_collector_requests_in_flight 0",
        "audit_collector_in_flight_bytes 0",
        "audit_collector_refused_total{reason=\"invalid\"} 1",
        &format!(
            "audit_collector_build_info{{version=\"{}\"}} 1",
            env!("CARGO_PKG_VERSION")
        ),
    ];

    for line in expected {
        assert_has(&lines, line);
    }
}

#[tokio::test]
async fn refusals_are_counted_by_their_reason() {
    let collector = Collector::start().await;
    collector
        .post_with(&[("content-type", "text/plain")], "x")
        .await;
    collector
        .post_with(&[JSON], " ".repeat(LIMITS.max_body_bytes + 1))
        .await;
    collector.get("/no/such/path").await;
    collector.get("/v1/logs").await;
    collector.get("/api/records?limit=0").await;

    let lines = lines(&collector).await;
    for reason in [
        "unsupported",
        "too_large",
        "not_found",
        "method_not_allowed",
        "invalid",
    ] {
        assert_has(
            &lines,
            &format!("audit_collector_refused_total{{reason=\"{reason}\"}} 1"),
        );
    }

    assert_has(
        &lines,
        "audit_collector_requests_total{encoding=\"other\",status=\"415\"} 1",
    );
    assert_has(
        &lines,
        "audit_collector_refused_total{reason=\"timeout\"} 0",
    );
}

#[tokio::test]
async fn the_state_of_the_ledger_is_shown() {
    let collector = Collector::start().await;
    collector
        .keep(&[record("aud_1", &[("user.id", "ann")])])
        .await;
    collector
        .keep(&[record("aud_1", &[("user.id", "bob")])])
        .await;

    for line in [
        "audit_collector_conflicts 1",
        "audit_collector_views_lag_records 0",
        "audit_collector_unsigned_records 1",
        "audit_collector_records_deleted_total 0",
    ] {
        assert_has(&lines(&collector).await, line);
    }

    let collector = collector.restart().await;
    let checkpoint = RECEIVED_AT / 1_000_000_000;
    for line in [
        "audit_collector_unsigned_records 0",
        &format!("audit_collector_last_checkpoint_timestamp_seconds {checkpoint}"),
        "audit_collector_last_checkpoint_has_root 1",
        "audit_collector_background_failing{task=\"checkpoints\"} 0",
    ] {
        assert_has(&lines(&collector).await, line);
    }
}

#[tokio::test]
async fn missing_numbers_are_open_at_first() {
    let collector = Collector::start().await;
    let sent = [0, 5].map(|number| numbered(number, &json!({})));
    collector.keep(&sent).await;
    for line in [
        "audit_collector_open_numbers 4",
        "audit_collector_missing_numbers 0",
        "audit_collector_streams_with_gaps 0",
    ] {
        assert_has(&lines(&collector).await, line);
    }
}

/// A record of `stream-1` with this number and further attributes.
fn numbered(number: i64, others: &Value) -> Value {
    let mut attributes = others.clone();
    attributes["audit.sequence.number"] = number.into();
    record_at(&format!("aud_{number}"), 0, &attributes)
}

/// Waits until the metrics have all of these lines, without their common prefix.
fn wait_for(program: &Program, expected: &[&str]) {
    let mut client = Client::connect(program.address).unwrap();
    let mut text = String::new();
    let mut has_all = |_| {
        sleep(Duration::from_millis(20));
        text = String::from_utf8(client.get("/metrics").unwrap().body).unwrap();
        expected
            .iter()
            .all(|line| text.contains(&format!("audit_collector_{line}\n")))
    };
    assert!((0..1000).any(&mut has_all), "{expected:?}\n{text}");
}

/// Without a grace period.
#[test]
fn a_gap_counts_until_its_numbers_arrive_or_a_loss_explains_them() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &["--grace", "0s"]);
    let keep = |record| assert_eq!(program.post(&batch(&[record])).0, 200);

    keep(numbered(7, &json!({})));
    wait_for(
        &program,
        &["missing_numbers 7", "streams_with_gaps 1", "open_numbers 0"],
    );

    let mut loss = numbered(
        8,
        &json!({"audit.loss.first_number": 0, "audit.loss.last_number": 4, "audit.loss.count": 5,
            "audit.loss.reason": "buffer_full"}),
    );
    loss["eventName"] = "audit.loss".into();
    keep(loss);
    wait_for(
        &program,
        &[
            "missing_numbers 2",
            "streams_with_gaps 1",
            "explained_losses 5",
        ],
    );

    keep(numbered(5, &json!({})));
    keep(numbered(6, &json!({})));
    wait_for(
        &program,
        &[
            "missing_numbers 0",
            "streams_with_gaps 0",
            "explained_losses 5",
        ],
    );
}

#[test]
fn a_row_that_retention_refuses_to_delete_is_a_task_that_fails() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    assert_eq!(program.post(&batch(&[numbered(0, &json!({}))])).0, 200);
    drop(program);

    let database = rusqlite::Connection::open(directory.path().join("audit.db")).unwrap();
    database
        .execute("UPDATE records SET received_at_unix_nano = 1", [])
        .unwrap();
    let program = Program::start(&directory, &["--retain", "90d"]);
    wait_for(
        &program,
        &[
            "background_failing{task=\"retention\"} 1",
            "background_failing{task=\"views\"} 0",
            "records_deleted_total 0",
        ],
    );
}

#[tokio::test]
async fn a_database_that_does_not_answer_has_no_figures() {
    let collector = Collector::start().await;
    let other = collector.other_connection();
    other.execute_batch("DROP TABLE conflicts").unwrap();
    let lines = lines(&collector).await;
    assert!(!lines.iter().any(|line| line.contains("views_lag")));
    assert_has(&lines, "audit_collector_records_stored_total 0");
}
