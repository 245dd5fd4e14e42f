//! The view of one person, on records of two of their sessions and of another person.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::stored::{Stored, line};

const LAPTOP: &str = "Mozilla/5.0 (X11; Linux x86_64) Firefox/152.0";
/// Rows of the group with this title: the value, and the sessions it was seen in.
const GROUPS: &str = "Object.fromEntries([...document.querySelectorAll('.trait')].map((group) => [group.querySelector('h2').firstChild.textContent,
  [...group.querySelectorAll('tbody tr')].map((row) => [row.cells[0].textContent, row.cells[3].textContent])]))";

/// Ada by laptop from two countries and later by phone, without a session id; and Grace.
fn exchanges() -> Vec<Value> {
    let context =
        |device: &str, country: &str| json!({"device_id": device, "country": country}).to_string();
    let ada = |session: &str, context: String, agent: &str| {
        let by = if session.starts_with("sha256:") {
            "session.token_ref"
        } else {
            "session.id"
        };
        json!({"user.id": "42", "user.name": "Ada Lovelace", by: session, "audit.session.context": context,
            "user_agent.original": agent, "client.address": "203.0.113.7"})
    };
    let more = [
        ada("s-ada-1", context("laptop-1", "NL"), LAPTOP),
        ada("s-ada-1", context("laptop-1", "BR"), LAPTOP),
        ada("sha256:0a1b2c", context("phone-2", "NL"), "okhttp/5.1"),
        json!({"user.id": "7", "session.id": "s-grace-1", "audit.session.context": context("desk-3", "US")}),
    ];
    (0..)
        .zip(&more)
        .map(|(number, more)| line(number, 300 - number * 60, more))
        .collect()
}

#[tokio::test]
async fn sessions_devices_and_countries_of_a_person_are_on_one_view() {
    let stored = Stored::start(&exchanges()).await;
    let browser = Browser::open(&stored.origin()).await;
    browser.until_text(".records", "Ada Lovelace").await;

    // From a record, as from the search field.
    browser.go("/?user=42").await;
    browser.click(".records tbody tr").await;
    browser
        .click(".detail a[href='/?view=person&user=42']")
        .await;
    browser.until_text("h1", "Ada Lovelace").await;
    browser
        .until("document.querySelectorAll('.sessions tbody tr').length === 2")
        .await;

    assert_eq!(
        browser.eval(GROUPS).await,
        json!({
            "Devices": [["phone-2", "1"], ["laptop-1", "1"]],
            "Countries": [["NL", "2"], ["BR", "1"]],
            "Programs": [["okhttp/5.1", "1"], [LAPTOP, "1"]],
            "Addresses": [["203.0.113.7", "2"]],
            "Names": [["Ada Lovelace", "2"]],
        })
    );
    assert!(!browser.text("main").await.contains("desk-3"));
    browser.screenshot("person").await;

    // A new device appears without a reload.
    let context = json!({"device_id": "tablet-9"}).to_string();
    let more = json!({"user.id": "42", "session.id": "s-ada-1", "audit.session.context": context});
    stored.send(&[line(9, 1, &more)]).await;
    browser.until_text(".trait", "tablet-9").await;

    browser.click(".sessions tbody a").await;
    browser
        .until("location.search.startsWith('?view=sessions&key=')")
        .await;
    browser
        .click(".session-head a[href='/?view=person&user=42']")
        .await;
    browser.until_text("h1", "Ada Lovelace").await;
    browser.back().await;
    browser.back().await;
    browser
        .until("location.search === '?view=person&user=42'")
        .await;
    browser.assert_clean().await;
}

#[tokio::test]
async fn a_person_without_sessions_or_records_has_a_message_instead() {
    let records = [line(0, 5, &json!({"user.id": "9", "user.name": "Alan"}))];
    let stored = Stored::start(&records).await;
    let browser = Browser::open(&stored.origin()).await;

    browser.go("/?view=person&user=9").await;
    browser.until_text("h1", "Alan").await;
    browser
        .until_text(".list-state", "The records of this person name no session.")
        .await;
    browser.until_text(".trait", "None is known.").await;

    browser.go("/?view=person&user=nobody").await;
    browser
        .until_text(".list-state", "No record has this user id.")
        .await;
    browser.assert_clean().await;
}
