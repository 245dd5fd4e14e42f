//! Completeness as computed by `verify` from real rows.

use std::process::Command;

use audit_collector::completeness::{Life, Status};
use serde_json::json;

use crate::ledger::fixture::{Fixture, NOW, blocking, entry, entry_at};
use crate::ledger::on_both;

on_both![
    losses_explain_what_is_missing,
    unexplained_numbers_are_gaps,
    records_without_a_stream_count_as_records,
    a_silent_stream_has_its_bound,
    verify_prints_the_bound_of_a_silent_stream,
];

fn event(
    name: &str,
    number: i64,
    attributes: &[(&str, serde_json::Value)],
) -> audit_collector::ledger::entry::Entry {
    let mut entry = entry_at(NOW, &format!("aud_{number}"), number, attributes);
    entry.event_name = name.to_owned();
    entry
}

async fn losses_explain_what_is_missing(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    let loss = [
        ("audit.loss.reason", json!("buffer_full")),
        ("audit.loss.count", json!(3)),
        ("audit.loss.first_number", json!(2)),
        ("audit.loss.last_number", json!(4)),
    ];
    let batch = vec![
        event("audit.stream.start", 0, &[]),
        entry("aud_1", 1, &[]),
        event("audit.loss", 5, &loss),
        event("audit.stream.end", 6, &[("audit.sequence.next", json!(7))]),
    ];
    ledger.append(batch).await.unwrap();

    let found = fixture.verify().await;
    let stream = &found.completeness.streams[0];
    assert_eq!(
        (stream.status, stream.explained_losses, stream.next_number),
        (Status::Complete, 3, Some(7))
    );
    assert!(stream.started && stream.ended && found.is_sound());
    assert_eq!(
        (stream.losses[0].reason.as_str(), stream.losses[0].count),
        ("buffer_full", 3)
    );
}

async fn unexplained_numbers_are_gaps(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    let batch = vec![
        entry("aud_1", 1, &[]),
        event("audit.stream.end", 4, &[("audit.sequence.next", json!(9))]),
    ];
    ledger.append(batch).await.unwrap();

    let found = fixture.verify().await;
    let gaps: Vec<_> = found.completeness.streams[0]
        .gaps
        .iter()
        .map(|gap| (gap.first_number, gap.last_number))
        .collect();
    assert_eq!(
        (gaps, found.is_sound()),
        (vec![(0, 0), (2, 3), (5, 8)], false)
    );
}

async fn a_silent_stream_has_its_bound(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    let next = ("audit.sequence.next", json!(5));
    let limits = [
        ("audit.stream.alive_interval_ms", json!(30_000)),
        ("audit.buffer.max_records", json!(100)),
        next.clone(),
    ];

    ledger
        .append(vec![
            event("audit.stream.start", 0, &limits),
            entry("aud_1", 1, &[next]),
        ])
        .await
        .unwrap();

    let found = fixture.verify().await;
    let stream = &found.completeness.streams[0];
    assert_eq!(
        (stream.life, found.completeness.silent_streams),
        (Life::Silent, 1)
    );
    assert_eq!(
        (stream.unknown_at_most, stream.unknown_since_unix_nano),
        (Some(100), Some(NOW))
    );

    let gaps: Vec<_> = stream
        .gaps
        .iter()
        .map(|gap| (gap.first_number, gap.last_number))
        .collect();
    assert_eq!(
        (gaps, found.is_sound()),
        (vec![(2, 4)], false),
        "what a batch tells of existed"
    );
}

async fn verify_prints_the_bound_of_a_silent_stream(fixture: Fixture) {
    /// 2023-11-14T22:13:20.5Z
    const LONG_AGO: i64 = 1_700_000_000_500_000_000;

    let ledger = fixture.ledger().await;
    let limits = [
        ("audit.stream.alive_interval_ms", json!(30_000)),
        ("audit.buffer.max_records", json!(100)),
        ("audit.sequence.next", json!(1)),
    ];
    let mut start = entry_at(LONG_AGO, "aud_0", 0, &limits);
    start.event_name = "audit.stream.start".to_owned();
    ledger.append(vec![start]).await.unwrap();

    let url = fixture.url.clone();
    let output = blocking(move || {
        let mut verify = Command::new(env!("CARGO_BIN_EXE_audit-collector"));
        verify
            .args(["verify", "--no-signatures", "--database", &url])
            .output()
            .unwrap()
    })
    .await;
    let text = String::from_utf8(output.stdout).unwrap();

    let expected = "silent streams: 1\n  stream s (shop): silent, no more than 100 records that were made after \
        2023-11-14T22:13:20.500Z are unknown\nsound, but UNSIGNED: it has no checkpoint\n";
    assert!(
        text.ends_with(expected) && output.status.success(),
        "{text}"
    );
}

async fn records_without_a_stream_count_as_records(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    let mut stray = entry("aud_x", 0, &[]);
    stray.stream_id = None;
    stray.attributes = stray.attributes.replace(r#""audit.stream.id":"s","#, "");
    ledger.append(vec![stray]).await.unwrap();

    let found = fixture.verify().await;
    assert_eq!(
        (
            found.completeness.records,
            found.completeness.streams.len(),
            found.is_sound()
        ),
        (1, 0, true)
    );
}
