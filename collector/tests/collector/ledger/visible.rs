//! What contradicts and what was deleted, as the API shows it.

use std::sync::Arc;
use std::time::Duration;

use audit_collector::ledger::Ledger;
use audit_collector::ledger::retention::Policy;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::fixture::{Clock, Fixture, NOW, SECOND, entries, entry, entry_at, eventually, rows};
use super::on_both;
use crate::common::{router, send};

on_both! {
    contradicting_contents_are_listed_beside_what_was_stored,
    conflicts_come_in_pages,
    deleted_records_leave_their_range_and_times,
}

static CLOCK: Clock = Clock::new();

const DAY: i64 = 86_400 * SECOND;

async fn get(ledger: &Arc<Ledger>, path: &str) -> Value {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = send(&router(ledger.clone()), request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

async fn contradicting_contents_are_listed_beside_what_was_stored(fixture: Fixture) {
    let ledger = Arc::new(fixture.ledger().await);
    assert_eq!(
        get(&ledger, "/api/conflicts").await,
        json!({"conflicts": [], "next_cursor": null})
    );

    ledger.append(entries(0..3)).await.unwrap();
    let other = entry("aud_1", 1, &[("audit.action", "DELETE /".into())]);
    ledger.append(vec![other.clone(), other]).await.unwrap();

    let answer = get(&ledger, "/api/conflicts").await;
    let [conflict] = answer["conflicts"].as_array().unwrap().as_slice() else {
        panic!("{answer}")
    };
    assert_eq!(
        (
            &conflict["record_uid"],
            &conflict["position"],
            &conflict["received_at_unix_nano"]
        ),
        (&json!("aud_1"), &json!(2), &json!(NOW.to_string()))
    );
    assert_eq!(conflict["sent"]["audit.action"], "DELETE /");
    assert_eq!(conflict["stored"]["audit.action"], "GET /check");
    assert_eq!(conflict["stored"]["flags"], json!(["conflict"]));

    assert_eq!(get(&ledger, "/api/conflicts?position=2").await, answer);
    assert_eq!(
        get(&ledger, "/api/conflicts?position=1").await["conflicts"],
        json!([])
    );
}

async fn conflicts_come_in_pages(fixture: Fixture) {
    let ledger = Arc::new(fixture.ledger().await);
    ledger.append(entries(0..3)).await.unwrap();
    for action in ["a", "b"] {
        let others = [0, 1, 2].map(|number| {
            entry(
                &format!("aud_{number}"),
                number,
                &[("audit.action", action.into())],
            )
        });
        ledger.append(others.to_vec()).await.unwrap();
    }

    let whole = get(&ledger, "/api/conflicts").await;
    let mut found = Vec::new();
    let mut path = "/api/conflicts?limit=4".to_owned();
    loop {
        let answer = get(&ledger, &path).await;
        found.extend(answer["conflicts"].as_array().unwrap().iter().cloned());
        let Some(cursor) = answer["next_cursor"].as_str() else {
            break;
        };
        path = format!("/api/conflicts?limit=4&cursor={cursor}");
    }
    assert_eq!((found.len(), &json!(found)), (6, &whole["conflicts"]));
}

async fn deleted_records_leave_their_range_and_times(fixture: Fixture) {
    let _turn = CLOCK.turn().await;
    let policy = Policy {
        retain: Duration::from_secs(86_400),
        holds: Vec::new(),
        export: None,
    };
    let ledger = fixture.ledger_with_retention(policy, || CLOCK.read()).await;
    let ledger = Arc::new(ledger);
    ledger.append(entries(0..3)).await.unwrap();
    let later = NOW + DAY;
    ledger
        .append(vec![entry_at(later, "aud_new", 3, &[])])
        .await
        .unwrap();
    assert_eq!(
        get(&ledger, "/api/retention").await,
        json!({"cuts": [], "next_cursor": null})
    );

    CLOCK.advance(DAY + SECOND);
    eventually(async || rows(&ledger).await.len() == 1).await;

    let expected = json!({
        "cuts": [{
            "first_position": 1, "last_position": 3, "records": 3,
            "deleted_at_unix_nano": (later + SECOND).to_string(),
            "received_until_unix_nano": NOW.to_string(), "key_id": fixture.key().id(),
        }],
        "next_cursor": null,
    });
    assert_eq!(get(&ledger, "/api/retention?limit=1").await, expected);
    assert_eq!(
        get(&ledger, "/api/retention?cursor=1").await["cuts"],
        json!([])
    );
}
