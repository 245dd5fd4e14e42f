//! The records can be read in SQL, without the program.

use audit_collector::ledger::entry::Entry;
use serde_json::{Value, json};

use crate::ledger::fixture::{Fixture, entry};
use crate::ledger::on_both;

on_both![the_view_shows_every_record_as_it_was_sent];

/// Records of all forms of uids and values, each twice so that values become texts.
fn records() -> Vec<Entry> {
    let values = [
        json!({"user.id": "Größe \"😀\"\n", "list": ["a", {"b": [1, null]}]}),
        json!({"user.id": 7, "like a text": [5], "like the uid": []}),
        json!({"user.name": "a,b", "n": 1.25, "large": 9_007_199_254_740_993_i64}),
        json!({"session.id": "[1]", "null": null, "": "empty name", "long": "x".repeat(2000)}),
    ];
    let uids = ["aud_019f2c4d-8f00-7000-8000-00000000000", "größe_"];

    let mut records = Vec::new();
    for (number, (values, uid)) in values.iter().flat_map(|v| uids.map(|u| (v, u))).enumerate() {
        let attributes: Vec<(&str, Value)> = values
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        let number = i64::try_from(number).unwrap();
        records.push(entry(&format!("{uid}{number}"), number, &attributes));
    }
    records
}

async fn the_view_shows_every_record_as_it_was_sent(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    ledger.append(records()).await.unwrap();
    ledger.close().await.unwrap();

    const SELECT: &str = "SELECT uid, event_name, severity_number, time_unix_nano, action, trace_id, \
        attributes FROM records_view ORDER BY position";
    let shown = fixture
        .with(|connection| {
            let mut shown = Vec::new();
            connection.query(SELECT, &[], &mut |row| {
                let text = |column| row.text(column).unwrap().unwrap_or_default().to_owned();
                let attributes: Value = serde_json::from_str(&text(6)).unwrap();
                let numbers = (row.integer(2)?, row.integer(3)?);
                shown.push((text(0), text(1), numbers, text(4), text(5), attributes));
                Ok(())
            })?;
            Ok(shown)
        })
        .await;

    let sent = records().into_iter().map(|entry| {
        let attributes: Value = serde_json::from_str(&entry.attributes).unwrap();
        (
            entry.uid,
            entry.event_name,
            (Some(entry.severity), Some(entry.time)),
            entry.action.unwrap(),
            entry.trace_id.unwrap(),
            attributes,
        )
    });
    assert_eq!(shown, sent.collect::<Vec<_>>());
}
