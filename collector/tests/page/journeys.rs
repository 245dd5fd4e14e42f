//! Tasks of an operator on call, on records of a real Envoy.

use std::net::SocketAddr;

use serde_json::{Value, json};
use testkit::client::{CallOptions, http_get};

use crate::browser::{Browser, key};
use crate::demo::demo;

const ROWS: &str = ".records tbody tr";
/// Position of the newest record in the list.
const NEWEST: &str = "Math.max(0, ...[...document.querySelectorAll('.records tbody tr')].map((row) => Number(row.dataset.position)))";
const USERS: &str = "[...new Set([...document.querySelectorAll('.records tbody .c-user')].map((cell) => cell.textContent))]";

async fn open() -> Browser {
    let browser = Browser::open(&demo().origin).await;
    browser
        .until(&format!("document.querySelectorAll('{ROWS}').length > 5"))
        .await;
    browser
}

async fn get(envoy: SocketAddr, path: &str, headers: &[(&str, &str)]) {
    let headers = headers
        .iter()
        .fold(testkit::headers::Headers::new(), |all, (name, value)| {
            all.with(name, value)
        });
    http_get(envoy, path, headers, &CallOptions::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn new_records_come_on_top_until_the_list_is_paused() {
    let browser = open().await;
    let first = browser.eval(NEWEST).await;
    browser.until(&format!("{NEWEST} > {first} + 3")).await;

    let times =
        format!("[...document.querySelectorAll('{ROWS} time')].map((time) => time.dateTime)");
    let times: Vec<String> = serde_json::from_value(browser.eval(&times).await).unwrap();
    assert!(
        times.is_sorted_by(|newer, older| newer >= older),
        "{times:?}"
    );

    browser.click(".pause").await;
    browser.until_text(".summary", "paused").await;

    let held = browser.eval(NEWEST).await;
    let stored = format!(
        "fetch('/api/records?limit=1').then((answer) => answer.json()).then((body) => {{ window.stored = body.records[0].position; }}), window.stored > {held} + 3"
    );
    browser.until(&stored).await;
    assert_eq!(
        browser.eval(NEWEST).await,
        held,
        "records have been stored, and none was shown"
    );

    browser.click(".pause").await;
    browser.until(&format!("{NEWEST} > {held} + 3")).await;
    browser.assert_clean().await;
}

#[tokio::test]
async fn filters_stand_in_the_address() {
    let browser = open().await;
    browser.fill("#filter-user", "ada").await;
    browser
        .until(&format!("JSON.stringify({USERS}) === '[\"ada\"]'"))
        .await;
    assert_eq!(browser.address().await, "/?user=ada");

    browser.choose("#filter-outcome", "success").await;
    browser
        .until("location.search === '?user=ada&outcome=success'")
        .await;
    browser
        .until("!document.querySelector('.records .outcome:not(.outcome-success)')")
        .await;

    browser.screenshot("real-filtered").await;
    browser.reload().await;
    browser
        .until(&format!("JSON.stringify({USERS}) === '[\"ada\"]'"))
        .await;

    assert_eq!(
        browser
            .eval("document.querySelector('#filter-outcome').value")
            .await,
        "success"
    );

    browser.back().await;
    browser.until("location.search === '?user=ada'").await;
    browser.back().await;
    browser.until(&format!("{USERS}.length > 1")).await;

    assert_eq!(
        browser
            .eval("document.querySelector('#filter-user').value")
            .await,
        ""
    );

    browser.fill("#filter-q", "PASSWORD").await;
    browser.until(&format!("document.querySelectorAll('{ROWS}').length > 0 && [...document.querySelectorAll('.records .action')].every((cell) => cell.textContent === 'change_password')")).await;
    browser.assert_clean().await;
}

#[tokio::test]
async fn an_export_has_what_the_list_has() {
    for _ in 0..3 {
        let tracked = [
            ("x-session-track", "true"),
            ("x-session-operation", "exported"),
            ("x-session-context", "e30="),
        ];
        get(demo().envoy, "/exported", &tracked).await;
    }

    let browser = open().await;
    browser.go("/?action=exported").await;
    browser
        .until(&format!("document.querySelectorAll('{ROWS}').length === 3"))
        .await;

    browser.keep_downloads().await;
    browser.choose(".exports select", "csv").await;
    browser.click(".exports [type=submit]").await;
    browser
        .until_text(".export-result", "Exported 3 records")
        .await;
    let (name, csv) = browser.saved().await;
    let lines = csv.split(|byte| *byte == b'\n').count();
    assert_eq!(
        (name.as_str(), lines),
        ("records.csv", 5),
        "CSV has a head, and ends its last line"
    );

    browser.choose(".exports select", "ndjson").await;
    browser.click(".exports [type=submit]").await;
    let (name, lines) = browser.saved().await;
    assert_eq!(name, "records.ndjson");
    let actions: Vec<Value> = serde_json::Deserializer::from_slice(&lines)
        .into_iter::<Value>()
        .map(|line| line.unwrap()["audit.action"].clone())
        .collect();
    assert_eq!(actions, ["exported", "exported", "exported"]);
}

#[tokio::test]
async fn a_row_opens_everything_that_is_known_of_the_record() {
    let browser = open().await;
    // Records of other tests have no such context.
    browser.go("/?action=open_document").await;
    browser.click(ROWS).await;
    browser.until("document.querySelector('.detail dl')").await;

    let field = |name: &str| {
        format!(
            "[...document.querySelectorAll('.field')].find((field) => field.firstChild.textContent === '{name}')?.querySelector('.value').textContent"
        )
    };
    let position = browser.eval(&field("position")).await;

    assert_eq!(
        browser.address().await,
        format!(
            "/?action=open_document&record={}",
            position.as_str().unwrap()
        )
    );
    assert_eq!(
        browser.eval(&field("hash")).await.as_str().unwrap().len(),
        64
    );

    assert!(
        browser
            .eval(&field("log.record.uid"))
            .await
            .as_str()
            .unwrap()
            .starts_with("aud_")
    );

    assert_ne!(
        browser.eval(&field("device_id")).await,
        json!(null),
        "the context is decoded"
    );

    browser.click(".copy").await;
    browser.until_text(".copy", "Copied").await;
    browser.screenshot("real-detail").await;

    let address = browser.address().await;
    browser.go("/").await;
    browser
        .go(&address.replace("action=open_document&", ""))
        .await;

    browser
        .until(&format!(
            "{} === '{}'",
            field("position"),
            position.as_str().unwrap()
        ))
        .await;

    browser.click(".close").await;
    browser
        .until("document.querySelector('.detail').hidden")
        .await;
    browser.back().await;
    browser
        .until("!document.querySelector('.detail').hidden")
        .await;

    let user = browser.eval(&field("user.id")).await;
    browser.click("[aria-label^='Only user.id']").await;
    browser
        .until(&format!("JSON.stringify({USERS}) === '[{user}]'"))
        .await;
    browser.assert_clean().await;
}

#[tokio::test]
async fn a_session_is_shown_from_its_beginning_with_changes() {
    let envoy = demo().envoy;
    let session = ("x-session-id", "s-journey");
    // {"country":"NL","device_id":"laptop-1"}, then {"country":"BR","device_id":"laptop-1"}
    let contexts = [
        "eyJjb3VudHJ5IjoiTkwiLCJkZXZpY2VfaWQiOiJsYXB0b3AtMSJ9",
        "eyJjb3VudHJ5IjoiQlIiLCJkZXZpY2VfaWQiOiJsYXB0b3AtMSJ9",
    ];
    let browser = open().await;
    browser.go("/?session=s-journey").await;

    let requests = [
        ("login", contexts[0], "200"),
        ("transfer", contexts[0], "403"),
        ("transfer", contexts[1], "200"),
    ];

    for ((operation, context, status), number) in requests.into_iter().zip(1..) {
        let tracked = [
            ("x-session-track", "true"),
            ("x-session-operation", operation),
            ("x-session-context", context),
        ];
        let more = [session, ("x-user-id", "joan"), ("x-demo-status", status)];
        get(envoy, "/journey", &[&tracked[..], &more[..]].concat()).await;

        // Changes are listed in the order of arrival, and each Envoy worker sends separately.
        browser
            .until(&format!(
                "document.querySelectorAll('{ROWS}').length === {number}"
            ))
            .await;
    }

    browser.go("/").await;
    browser.click("nav [data-view=sessions]").await;
    browser.fill("#filter-user", "joan").await;
    browser
        .until("document.querySelectorAll('.sessions tbody tr').length === 1")
        .await;
    browser.click(".sessions tbody a").await;
    browser
        .until("document.querySelectorAll('.timeline .event').length === 3")
        .await;
    assert_eq!(browser.address().await, "/?view=sessions&key=s-journey");

    let story = "[...document.querySelectorAll('.timeline li')].map((item) => item.className.split(' ')[0] === 'event' ? item.querySelector('.action').textContent : item.querySelector('.what').textContent)";
    browser
        .until_text(".timeline .signal-changed", "country changed from NL to BR")
        .await;

    let story: Vec<String> = serde_json::from_value(browser.eval(story).await).unwrap();
    assert_eq!(
        story.iter().filter(|line| line.contains(" is ")).count(),
        2,
        "{story:?}"
    );

    assert_eq!(
        story[2..],
        [
            "login",
            "transfer",
            "country changed from NL to BR",
            "transfer"
        ]
    );

    assert_eq!(
        browser.count(".timeline .event .icon-denied").await,
        2,
        "the mark on the line, and the word's own"
    );

    browser.click(".timeline .event:last-child button").await;
    browser.until_text(".detail", "s-journey").await;
    browser.screenshot("real-timeline").await;
    browser.back().await;
    browser.back().await;
    browser.until("document.querySelector('.sessions')").await;
    browser.assert_clean().await;
}

#[tokio::test]
async fn usage_is_plotted_and_leads_to_the_records_of_a_user() {
    let browser = open().await;
    browser.click("nav [data-view=usage]").await;
    browser
        .until("document.querySelector('.plot rect.requests')")
        .await;
    browser.choose("#filter-range", "1h").await;
    browser
        .until(
            "location.search.includes('from=1h') && document.querySelector('.plot rect.requests')",
        )
        .await;

    browser.hover(".plot rect.requests", (0, 0)).await;
    browser.until_text(".tip", "unique user").await;
    browser.screenshot("real-usage").await;
    browser
        .eval("document.querySelector('.plot').focus()")
        .await;
    browser.press(&[key::LEFT, key::LEFT]).await;
    browser
        .until("!document.querySelector('.tip').hidden")
        .await;
    browser.click(".usage summary").await;

    let total = "[...document.querySelectorAll('.numbers:not(.users) tbody td:nth-child(2)')].reduce((sum, cell) => sum + Number(cell.textContent.replaceAll(',', '')), 0)";
    assert!(
        browser.eval(total).await.as_u64().unwrap() > 0,
        "the same numbers as a table"
    );

    browser.choose("#filter-rule", "tracked").await;
    browser.until_text("figcaption", "tracked").await;
    browser.until("document.querySelector('.users a')").await;

    let user = browser.text(".users a").await;
    browser.click(".users a").await;
    browser
        .until(&format!(
            "JSON.stringify({USERS}) === {}",
            json!(json!([user]).to_string())
        ))
        .await;

    assert_eq!(
        browser.address().await,
        format!("/?user={user}&rule=tracked&from=1h")
    );
    browser.assert_clean().await;
}

#[tokio::test]
async fn completeness_is_seen_at_a_glance() {
    let browser = open().await;
    browser
        .until_text("#completeness[data-status=complete]", "complete")
        .await;
    browser.click("#completeness").await;
    browser
        .until("document.querySelectorAll('.stream .bar').length > 0")
        .await;

    browser.until_text(".verdict", "Nothing is missing").await;
    browser.screenshot("real-streams").await;
    browser.click(".stream .id").await;
    browser
        .until(&format!(
            "location.search.startsWith('?stream=') && document.querySelector('{ROWS}')"
        ))
        .await;
    browser.assert_clean().await;
}

#[tokio::test]
async fn what_a_stranger_sends_stays_text() {
    let harm = "<img src=x onerror=\"window.harmed = 1\">";
    let tracked = [
        ("x-session-track", "true"),
        ("x-session-operation", harm),
        ("x-session-context", "e30="),
        ("x-user-id", harm),
    ];
    get(demo().envoy, "/harm", &tracked).await;

    let browser = open().await;
    browser.go("/?q=onerror").await;
    browser.until_text(ROWS, harm).await;
    browser.click(ROWS).await;
    browser.until_text(".detail h2", harm).await;

    browser.assert_no_markup().await;
    browser.assert_clean().await;
}

#[tokio::test]
async fn pictures_of_a_real_run() {
    let browser = open().await;

    for theme in ["light", "dark"] {
        browser.theme(theme).await;

        for (width, height) in [(1440, 900), (390, 844)] {
            browser.resize(width, height).await;

            for (name, path, sign) in [
                ("live", "/", ROWS),
                ("sessions", "/?view=sessions", ".sessions tbody tr"),
                ("usage", "/?view=usage&from=1h", ".plot rect"),
                ("streams", "/?view=streams", ".stream"),
            ] {
                browser.go(path).await;
                browser
                    .until(&format!("document.querySelector('{sign}')"))
                    .await;
                browser.assert_fits().await;
                browser
                    .screenshot(&format!("real-{name}-{theme}-{width}"))
                    .await;
            }
        }
    }

    browser.assert_clean().await;
}
