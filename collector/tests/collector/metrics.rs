//! `GET /metrics`.

use std::thread::sleep;
use std::time::Duration;

use serde_json::json;
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
    ] {
        assert_has(&lines(&collector).await, line);
    }
}

#[tokio::test]
async fn missing_numbers_are_open_at_first() {
    let collector = Collector::start().await;
    let numbered = |number: i64| {
        let uid = format!("aud_{number}");
        record_at(&uid, 0, &json!({"audit.sequence.number": number}))
    };
    collector.keep(&[numbered(0), numbered(5)]).await;
    for line in [
        "audit_collector_open_numbers 4",
        "audit_collector_missing_numbers 0",
        "audit_collector_streams_with_gaps 0",
    ] {
        assert_has(&lines(&collector).await, line);
    }
}

/// Without a grace period.
#[test]
fn missing_numbers_are_a_gap_later() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &["--grace", "0s"]);
    let number = json!({"audit.sequence.number": 7});
    let sent = batch(&[record_at("aud_1", 0, &number)]);
    assert_eq!(program.post(&sent).0, 200);

    let mut client = Client::connect(program.address).unwrap();
    let has_gap = |_| {
        sleep(Duration::from_millis(20));
        let text = client.get("/metrics").unwrap().body;
        let text = String::from_utf8(text).unwrap();
        ["missing_numbers 7", "streams_with_gaps 1", "open_numbers 0"]
            .iter()
            .all(|line| text.contains(&format!("audit_collector_{line}\n")))
    };
    assert!((0..1000).any(has_gap));
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
