//! Exchanges that go on, how answers were cut short, streams that send signs of life, and records
//! that contradict each other.

use serde_json::json;

use crate::browser::Browser;
use crate::fake::ago;
use crate::stored::{Stored, line};

const ROWS: &str = ".records tbody tr";
/// Words of the outcomes in the list, newest record first.
const OUTCOMES: &str =
    "[...document.querySelectorAll('.records tbody .c-outcome')].map((cell) => cell.textContent)";

#[tokio::test]
async fn an_exchange_goes_on_until_the_record_of_its_end_arrives() {
    let begun = ago(90);
    let download = |more: serde_json::Value| {
        let mut all =
            json!({"time_unix_nano": begun, "audit.action": "download", "session.id": "s-1"});
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        all
    };
    let started = download(json!({"audit.stage": "started", "audit.outcome": null}));
    let stored = Stored::start(&[line(5, 90, &started), line(6, 30, &json!({}))]).await;

    let browser = Browser::open(&stored.origin()).await;
    browser
        .until(&format!(
            "JSON.stringify({OUTCOMES}) === '[\"success\",\"still going on\"]'"
        ))
        .await;
    browser.click(&format!("{ROWS}:last-child")).await;
    browser
        .until_text(
            ".detail .progress",
            "Still going on: no record of its end has arrived.",
        )
        .await;
    browser.screenshot("still-going-on").await;
    browser.go("/?view=sessions&key=s-1").await;
    browser.until_text(".timeline", "still going on").await;

    // With this filter the end of an exchange can be missing from the list.
    browser.go("/?action=download").await;
    browser.until_text(ROWS, "download").await;
    assert_eq!(browser.eval(OUTCOMES).await, json!(["started"]));

    browser.go("/").await;
    browser.until_text(".records", "still going on").await;
    let ended = download(
        json!({"audit.started.number": 5, "audit.outcome": "aborted", "audit.termination": "client"}),
    );
    stored.send(&[line(9, 90, &ended)]).await;
    browser
        .until(&format!(
            "JSON.stringify({OUTCOMES}) === '[\"success\",\"aborted\",\"started\"]'"
        ))
        .await;
    browser
        .until_text(".records .flag", "client left early")
        .await;

    browser.click(&format!("{ROWS}:last-child")).await;
    browser
        .until_text(".detail .progress", "It has ended")
        .await;
    browser.click(".detail .progress a").await;
    browser.until_text(".detail", "client left early").await;
    browser.go("/?view=sessions&key=s-1").await;
    browser
        .until_text(".timeline .event .flag", "client left early")
        .await;
    assert!(!browser.text(".timeline").await.contains("still going on"));
    browser.assert_clean().await;
}

#[tokio::test]
async fn every_termination_has_words() {
    let words = [
        ("client", "client left early"),
        ("upstream", "broken off by the upstream"),
        ("timeout", "timed out"),
        ("proxy", "broken off by the proxy"),
        ("a later one", "a later one"),
    ];
    let records: Vec<_> = (0..)
        .zip(words)
        .map(|(number, (name, _))| {
            line(
                number,
                number,
                &json!({"audit.outcome": "aborted", "audit.termination": name}),
            )
        })
        .collect();
    let stored = Stored::start(&records).await;
    let browser = Browser::open(&stored.origin()).await;
    browser
        .until(&format!("document.querySelectorAll('{ROWS}').length === 5"))
        .await;

    let shown = "[...document.querySelectorAll('.records .flag')].map((flag) => flag.textContent)";
    assert_eq!(
        browser.eval(shown).await,
        json!(words.map(|(_, words)| words))
    );
}

#[tokio::test]
async fn a_stream_shows_how_much_of_it_can_be_unknown() {
    let start = json!({"event_name": "audit.stream.start", "audit.outcome": null, "audit.stage": null, "audit.action": null,
        "audit.stream.alive_interval_ms": 30_000, "audit.buffer.max_records": 10_000});
    let alive = json!({"event_name": "audit.stream.alive", "audit.outcome": null, "audit.stage": null, "audit.action": null});
    let stored = Stored::start(&[line(0, 9, &start), line(1, 2, &alive)]).await;

    let browser = Browser::open(&stored.origin()).await;
    browser.until_text(".records", "stream alive").await;
    browser.go("/?view=streams").await;
    browser
        .until("/No more than 10,000 records after \\d\\d:\\d\\d:\\d\\d are unknown/.test(document.querySelector('.stream .unknown')?.innerText)")
        .await;
    browser
        .until_text(".stream .facts", "alive, at least every 30.0 s")
        .await;

    browser.choose("#filter-status", "gap").await;
    browser.until_text("main", "No such stream").await;
    assert_eq!(browser.address().await, "/?view=streams&status=gap");
    browser.back().await;
    browser.until_text(".stream .facts", "alive").await;
    browser.assert_clean().await;
}

#[tokio::test]
async fn a_conflict_is_shown_with_what_differs() {
    let more = |action: &str| {
        json!({"log.record.uid": "aud_same", "audit.action": action, "time_unix_nano": "1783072801000000001",
        "observed_time_unix_nano": "1783072801000000001", "app.note": (action == "second").then_some("<b>bold</b>")})
    };
    let stored = Stored::start(&[line(0, 1, &more("first"))]).await;
    stored.send(&[line(0, 1, &more("second"))]).await;

    let browser = Browser::open(&stored.origin()).await;
    browser.go("/?view=streams").await;
    browser.until_text(".history", "Record 1 came again").await;
    let lines = "[...document.querySelectorAll('.history li li')].map((line) => line.textContent)";
    assert_eq!(
        browser.eval(lines).await,
        json!([
            "audit.action: stored first, then second",
            "body: stored first success, then second success",
            "app.note: stored (none), then <b>bold</b>"
        ])
    );
    browser.until_text(".history", "Nothing was deleted.").await;
    browser.screenshot("conflict").await;

    browser.click(".history a").await;
    browser.until_text(".detail h2", "first").await;
    assert_eq!(browser.address().await, "/?record=1");
    browser.assert_clean().await;
}
