//! Pages: together they are the complete list, also when records arrive meanwhile.

use serde_json::{Value, json};

use crate::common::{Collector, batch, record_at, uids};

/// Follows the cursors of `path` to the end; `between` is called after each page.
async fn pages(
    collector: &Collector,
    path: &str,
    list: &str,
    mut between: impl AsyncFnMut(),
) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = String::new();

    loop {
        let answer = collector.get_ok(&format!("{path}{cursor}")).await;
        all.extend(answer[list].as_array().unwrap().iter().cloned());
        match &answer["next_cursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            _ => return all,
        }
        between().await;
    }
}

#[tokio::test]
async fn pages_of_records_have_no_holes_and_no_doubles_while_records_are_added() {
    let collector = Collector::start().await;
    // Many records share one time, so the time alone does not determine where a page ends.
    let old: Vec<_> = (0..95)
        .map(|number| record_at(&format!("old_{number}"), 100 + number / 10, &json!({})))
        .collect();
    collector.keep(&old).await;

    let mut added = 0;
    let found = pages(&collector, "/api/records?limit=7", "records", async || {
        added += 1;
        let new = record_at(&format!("new_{added}"), 1, &json!({}));
        assert_eq!(collector.post(batch(&[new])).await.status, 200);
    })
    .await;
    assert_eq!(added, 13, "a page for each 7 of 95");

    let mut found = uids(&found);
    let expected: Vec<_> = collector.list("to=2s&limit=1000").await;
    assert_eq!(found, uids(&expected), "the order of the whole");

    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 95);
}

#[tokio::test]
async fn the_last_page_has_no_cursor_also_when_it_is_full() {
    let collector = Collector::start().await;
    let all: Vec<_> = (0..4)
        .map(|number| record_at(&format!("aud_{number}"), 9, &json!({})))
        .collect();
    collector.keep(&all).await;

    let first = collector.get_ok("/api/records?limit=2").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = collector
        .get_ok(&format!("/api/records?limit=2&cursor={cursor}"))
        .await;
    assert_eq!(
        (
            uids(second["records"].as_array().unwrap()),
            &second["next_cursor"]
        ),
        (vec!["aud_1", "aud_0"], &json!(null))
    );
}

#[tokio::test]
async fn pages_of_sessions_are_the_whole() {
    let collector = Collector::start().await;
    let session = |number: i64| format!("sessiön {number}&");
    let all: Vec<_> = (0..23)
        .map(|number| {
            record_at(
                &format!("aud_{number}"),
                number / 5,
                &json!({"session.id": session(number)}),
            )
        })
        .collect();
    collector.keep(&all).await;

    let found = pages(&collector, "/api/sessions?limit=4", "sessions", async || {}).await;
    let whole = collector.get_ok("/api/sessions").await;
    assert_eq!(json!(found), whole["sessions"]);

    let mut keys: Vec<_> = found
        .iter()
        .map(|session| session["key"].as_str().unwrap())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 23);
}

#[tokio::test]
async fn pages_of_streams_are_the_whole() {
    let collector = Collector::start().await;
    let all: Vec<_> = (0..23)
        .map(|number| {
            let stream =
                json!({"audit.stream.id": format!("streäm {number}"), "audit.sequence.number": 0});
            record_at(&format!("aud_{number}"), 9, &stream)
        })
        .collect();
    collector.keep(&all).await;

    let found = pages(&collector, "/api/streams?limit=4", "streams", async || {}).await;
    let whole = collector.get_ok("/api/streams?status=complete").await;
    assert_eq!(json!(found), whole["streams"]);

    let mut ids: Vec<_> = found
        .iter()
        .map(|stream| stream["stream_id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 23);
}

#[tokio::test]
async fn the_records_of_a_session_come_in_pages() {
    let collector = Collector::start().await;
    let all: Vec<_> = (0..9)
        .map(|number| {
            record_at(
                &format!("aud_{number}"),
                100 - number,
                &json!({"session.id": if number == 4 { "s2" } else { "s1" }}),
            )
        })
        .collect();
    collector.keep(&all).await;

    let found = pages(
        &collector,
        "/api/sessions/s1?limit=3",
        "records",
        async || {},
    )
    .await;
    assert_eq!(
        uids(&found),
        [
            "aud_8", "aud_7", "aud_6", "aud_5", "aud_3", "aud_2", "aud_1", "aud_0"
        ]
    );
}
