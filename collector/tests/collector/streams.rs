//! `GET /api/streams` and `GET /api/checkpoints`.

use audit_collector::ledger::checkpoint::{Checkpoint, Line};
use audit_collector::ledger::signing::PublicKey;
use serde_json::{Value, json};

use crate::common::{Collector, RECEIVED_AT, record_at};

/// A record of the stream with this number.
fn numbered(number: i64) -> Value {
    record_at(
        &format!("aud_{number}"),
        9,
        &json!({"audit.sequence.number": number}),
    )
}

#[tokio::test]
async fn nothing_is_complete() {
    let expected = json!({
        "status": "complete", "records": 0, "explained_losses": 0, "open_numbers": 0, "unexplained_numbers": 0,
        "conflicts": 0, "gap_streams": 0, "open_streams": 0, "complete_streams": 0, "silent_streams": 0,
        "ended": {"streams": 0, "received": 0, "explained_losses": 0}, "next_cursor": null,
    });
    let collector = Collector::start().await;
    assert_eq!(collector.get_ok("/api/streams?summary").await, expected);

    let mut with_list = expected;
    with_list["streams"] = json!([]);
    assert_eq!(collector.get_ok("/api/streams").await, with_list);
}

#[tokio::test]
async fn a_list_of_streams_is_refused_by_the_name_of_its_parameter() {
    let collector = Collector::start().await;
    for (query, message) in [
        (
            "status=lost",
            "status must be one of gap, open, complete, silent, ended",
        ),
        ("summary=1", "summary must be true or false"),
        (
            "summary&limit=1",
            "summary cannot be combined with status, limit or cursor",
        ),
        ("cursor=1", "cursor: not a cursor that an answer gave"),
    ] {
        collector
            .assert_refused(&format!("/api/streams?{query}"), message)
            .await;
    }
}

#[tokio::test]
async fn a_stream_lists_missing_numbers_and_their_explanations() {
    let collector = Collector::start().await;
    let mut start = numbered(0);
    start["eventName"] = "audit.stream.start".into();

    let mut loss = numbered(4);
    loss["eventName"] = "audit.loss".into();
    for (name, value) in [("first_number", 2), ("last_number", 3), ("count", 2)] {
        let attribute = json!({"key": format!("audit.loss.{name}"), "value": {"intValue": value}});
        loss["attributes"].as_array_mut().unwrap().push(attribute);
    }
    let reason = json!({"key": "audit.loss.reason", "value": {"stringValue": "buffer_full"}});
    loss["attributes"].as_array_mut().unwrap().push(reason);

    let mut end = numbered(7);
    end["eventName"] = "audit.stream.end".into();
    end["attributes"]
        .as_array_mut()
        .unwrap()
        .push(json!({"key": "audit.sequence.next", "value": {"intValue": 8}}));
    collector.keep(&[start, numbered(1)]).await;
    collector.keep(&[loss, end]).await;

    collector
        .keep(&[
            record_at("aud_x", 9, &json!({})),
            record_at("aud_1", 8, &json!({"audit.sequence.number": 1})),
        ])
        .await;

    let received = RECEIVED_AT.to_string();
    let expected = json!({
        "status": "open", "records": 5, "explained_losses": 2, "open_numbers": 2, "unexplained_numbers": 0, "conflicts": 1,
        "gap_streams": 0, "open_streams": 1, "complete_streams": 0, "silent_streams": 0,
        "ended": {"streams": 0, "received": 0, "explained_losses": 0}, "next_cursor": null,
        "streams": [{
            "stream_id": "stream-1", "service": "shop", "status": "open", "received": 4,
            "first_number": 0, "last_number": 7, "next_number": 8,
            "explained_losses": 2, "open_numbers": 2, "unexplained_numbers": 0, "started": true, "ended": true,
            "life": "ended", "alive_interval_ms": null, "unknown_since_unix_nano": null, "unknown_at_most": 0,
            "first_seen_unix_nano": received, "last_seen_unix_nano": received,
            "gaps": [{"first_number": 5, "last_number": 6, "state": "open", "since_unix_nano": received}],
            "losses": [{"first_number": 2, "last_number": 3, "count": 2, "reason": "buffer_full"}],
        }],
    });
    assert_eq!(collector.get_ok("/api/streams").await, expected);

    collector.keep(&[numbered(6), numbered(5)]).await;
    let answer = collector.get_ok("/api/streams").await;
    let ended = json!({"streams": 1, "received": 6, "explained_losses": 2});
    assert_eq!(
        (&answer["status"], &answer["streams"], &answer["ended"]),
        (&json!("complete"), &json!([]), &ended)
    );
    let answer = collector.get_ok("/api/streams?status=ended").await;
    assert_eq!(answer["streams"][0]["stream_id"], "stream-1");
}

/// A batch of one record, with the next sequence number of the stream.
fn batch(record: &Value, next: i64) -> Vec<u8> {
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    json!({"resourceLogs": [{
        "resource": {"attributes": [attribute("audit.stream.id", "stream-1"), attribute("audit.sequence.next", "of the resource")]},
        "scopeLogs": [{
            "scope": {"attributes": [{"key": "audit.sequence.next", "value": {"intValue": next.to_string()}}]},
            "logRecords": [record],
        }],
    }]})
    .to_string()
    .into_bytes()
}

#[tokio::test]
async fn a_stream_without_an_end_shows_known_and_unknown_numbers() {
    let collector = Collector::start().await;
    let mut start = numbered(0);
    start["eventName"] = "audit.stream.start".into();
    start["observedTimeUnixNano"] = (RECEIVED_AT - 5).to_string().into();

    for (name, value) in [
        ("audit.stream.alive_interval_ms", 30_000),
        ("audit.buffer.max_records", 100),
    ] {
        start["attributes"]
            .as_array_mut()
            .unwrap()
            .push(json!({"key": name, "value": {"intValue": value}}));
    }
    assert_eq!(collector.post(batch(&start, 3)).await.status, 200);

    collector.views_follow().await;
    let answer = collector.get_ok("/api/streams").await;
    let stream = &answer["streams"][0];
    assert_eq!(
        (&stream["life"], &stream["alive_interval_ms"]),
        (&json!("alive"), &json!(30_000))
    );
    assert_eq!(
        stream["unknown_since_unix_nano"],
        (RECEIVED_AT - 5).to_string()
    );

    assert_eq!(
        (&stream["unknown_at_most"], &stream["next_number"]),
        (&json!(100), &json!(3))
    );
    assert_eq!(
        (&stream["open_numbers"], &stream["gaps"][0]["last_number"]),
        (&json!(2), &json!(2))
    );

    // Another batch with the same record is not a conflict, whatever its `audit.sequence.next`.
    assert_eq!(collector.post(batch(&start, 4)).await.status, 200);
    assert_eq!(collector.get_ok("/api/streams").await["conflicts"], 0);
}

#[tokio::test]
async fn checkpoints_are_signed_with_the_key_that_is_shown() {
    let mut collector = Collector::start().await;
    for number in 0..3 {
        collector.keep(&[numbered(number)]).await;
        // A checkpoint is signed when the collector ends.
        collector = collector.restart().await;
    }

    let answer = collector.get_ok("/api/checkpoints").await;
    let key = PublicKey::from_hex(answer["public_key"].as_str().unwrap()).unwrap();
    let list = answer["checkpoints"].as_array().unwrap();
    assert_eq!(
        list.iter()
            .map(|line| line["position"].as_i64().unwrap())
            .collect::<Vec<_>>(),
        [3, 2, 1]
    );

    for line in list {
        let line: Line = serde_json::from_value(line.clone()).unwrap();
        assert!(Checkpoint::try_from(line).unwrap().is_signed_by(&key));
    }
    let exported = collector.get("/api/checkpoints?format=ndjson").await;
    assert_eq!(exported.headers["content-type"], "application/x-ndjson");

    let mut exported: Vec<Value> = exported
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    exported.reverse();
    assert_eq!(&exported, list);
}
