//! Display of states that a healthy collector rarely has.

use serde_json::json;

use crate::browser::Browser;
use crate::fake::{Fake, World, ago, record, streams};

const ROWS: &str = ".records tbody tr";
const MARKUP: &str = "<img src=x onerror=\"window.harmed = true\">";

#[tokio::test]
async fn a_gap_is_described_and_links_to_the_missing_numbers() {
    let gaps = json!([{"first_number": 40, "last_number": 43, "state": "gap", "since_unix_nano": ago(300)}]);
    let losses =
        json!([{"first_number": 70, "last_number": 79, "count": 10, "reason": "buffer_full"}]);
    let fake = Fake::start(World {
        streams: streams("gap", &gaps, &losses),
        ..World::usual()
    })
    .await;
    let browser = Browser::open(&fake.origin()).await;

    browser
        .until_text("#completeness[data-status=gap]", "gap 4")
        .await;
    browser.click("#completeness").await;
    browser
        .until_text(".hole-gap", "Missing, unexplained: numbers 40 to 43")
        .await;

    assert_eq!(browser.address().await, "/?view=streams");
    assert!(
        browser
            .text(".hole-loss")
            .await
            .contains("Lost: 10 records for buffer full, numbers 70 to 79")
    );

    let place = "[...document.querySelectorAll('.stream .bar rect.gap')].map((mark) => mark.x.baseVal.value)";
    assert_eq!(
        browser.eval(place).await,
        json!([400]),
        "the mark stands where the numbers are missing"
    );

    browser
        .until_text(
            ".history",
            "1,200 records, positions 1 to 1,200, deleted at",
        )
        .await;
    browser
        .until_text(".history", "Only the latest 20 are shown.")
        .await;
    browser.screenshot("gap-light").await;
    browser.theme("dark").await;
    browser.screenshot("gap-dark").await;
    browser.assert_clean().await;
}

#[tokio::test]
async fn numbers_that_may_still_come_are_open_and_then_complete() {
    let gaps = json!([{"first_number": 99, "last_number": 99, "state": "open", "since_unix_nano": ago(3)}]);
    let fake = Fake::start(World {
        streams: streams("open", &gaps, &json!([])),
        ..World::usual()
    })
    .await;
    let browser = Browser::open(&fake.origin()).await;
    browser
        .until_text("#completeness[data-status=open]", "open 1")
        .await;

    fake.change(|world| world.streams = streams("complete", &json!([]), &json!([])));
    browser
        .until_text("#completeness[data-status=complete]", "complete")
        .await;
}

#[tokio::test]
async fn a_silent_stream_is_shown_with_its_bound() {
    let mut silent = streams("complete", &json!([]), &json!([]));
    silent["silent_streams"] = 1.into();
    silent["streams"][0]["life"] = "silent".into();

    let fake = Fake::start(World {
        streams: silent,
        ..World::usual()
    })
    .await;
    let browser = Browser::open(&fake.origin()).await;
    browser.until_text("#completeness", "complete").await;
    browser.click("#completeness").await;

    browser
        .until_text(".stream .silence", "No more than 10,000 records after")
        .await;

    browser
        .until_text(".stream .facts", "start seen, silent")
        .await;
    fake.change(|world| world.streams = streams("complete", &json!([]), &json!([])));
    browser
        .until("document.querySelector('.silence') === null")
        .await;
    browser
        .until_text(".stream .facts", "alive, at least every 30.0 s")
        .await;
    browser
        .until_text(".stream .unknown", "No more than 10,000 records after")
        .await;
    browser.assert_clean().await;
}

#[tokio::test]
async fn an_unreachable_collector_is_reported_and_the_view_stays() {
    let fake = Fake::start(World::usual()).await;
    let browser = Browser::open(&fake.origin()).await;
    browser
        .until(&format!(
            "document.querySelectorAll('{ROWS}').length === 100"
        ))
        .await;

    let stopped = fake.stop().await;
    browser
        .until_text("#banner", "The collector does not answer.")
        .await;

    assert!(
        browser
            .text("#banner")
            .await
            .contains("What is shown is as of")
    );
    assert_eq!(browser.count(ROWS).await, 100);

    browser.screenshot("offline").await;
    let fake = stopped.start_again().await;
    fake.change(|world| {
        world
            .records
            .push(record(141, 0, &json!({"audit.action": "after the pause"})))
    });
    browser.click("#banner button").await;
    browser.until_text(ROWS, "after the pause").await;
    browser
        .until("document.getElementById('banner').childElementCount === 0")
        .await;
}

#[tokio::test]
async fn a_503_is_shown_with_its_reason() {
    let fake = Fake::start(World {
        refusal: Some((503, "the database is locked")),
        ..World::usual()
    })
    .await;
    let browser = Browser::open(&fake.origin()).await;
    browser.until_text("#banner", "503").await;
    browser
        .until_text("#banner", "the database is locked")
        .await;

    browser
        .until_text(".list-state", "the database is locked")
        .await;
    fake.change(|world| world.refusal = None);
    browser
        .until(&format!(
            "document.querySelectorAll('{ROWS}').length === 100"
        ))
        .await;
    assert_eq!(browser.text("#banner").await, "");
}

#[tokio::test]
async fn a_401_is_shown_and_the_token_can_be_entered() {
    let fake = Fake::start(World {
        token: Some("open sesame"),
        ..World::usual()
    })
    .await;
    let browser = Browser::open(&fake.origin()).await;
    browser.until_text("#banner", "Not authorised (401).").await;

    browser.screenshot("unauthorised").await;
    browser.fill("#token", "open sesame").await;
    browser.click("#banner button").await;
    browser
        .until(&format!(
            "document.querySelectorAll('{ROWS}').length === 100"
        ))
        .await;
    assert_eq!(browser.text("#banner").await, "");

    browser.reload().await;
    browser
        .until(&format!(
            "document.querySelectorAll('{ROWS}').length === 100"
        ))
        .await;
}

#[tokio::test]
async fn a_filter_that_the_collector_refuses_is_the_matter_of_the_list() {
    let fake = Fake::start(World {
        refusal: Some((400, "`outcome` must be one of four")),
        ..World::usual()
    })
    .await;
    let browser = Browser::open(&fake.origin()).await;
    browser
        .until_text(".list-state [role=alert]", "`outcome` must be one of four")
        .await;
    assert_eq!(browser.text("#banner").await, "");
}

#[tokio::test]
async fn an_empty_list_has_a_message() {
    let fake = Fake::start(World {
        records: Vec::new(),
        sessions: Vec::new(),
        ..World::usual()
    })
    .await;
    let browser = Browser::open(&fake.origin()).await;
    browser.until_text(".list-state", "No records yet").await;
    browser.go("/?user=nobody").await;
    browser.until_text(".list-state", "No record matches").await;

    browser.go("/?view=sessions").await;
    browser.until_text(".list-state", "No session").await;
    browser.go("/?view=sessions&key=gone").await;
    browser
        .until_text(".list-state", "there is no such session")
        .await;
    browser.go("/?record=7").await;
    browser
        .until_text(".detail", "There is no such record")
        .await;
}

#[tokio::test]
async fn text_from_records_is_never_markup() {
    let more = json!({"audit.action": MARKUP, "user.name": MARKUP, "user.id": MARKUP, "session.id": MARKUP,
        "audit.rule": MARKUP, MARKUP: MARKUP, "url.path": MARKUP, "flags": [MARKUP]});
    let mut world = World {
        records: vec![record(1, 1, &more)],
        ..World::usual()
    };
    world.session["session"]["key"] = json!("evil");
    world.session["session"]["user_name"] = json!(MARKUP);
    world.session["records"] = json!([record(1, 1, &more)]);
    world.session["signals"][0]["value"] = json!(MARKUP);
    world.sessions[0]["user_name"] = json!(MARKUP);
    world.sessions[0]["user_id"] = json!("evil");
    world.sessions[0]["key"] = json!("evil");
    world.usage["users"][0]["user_id"] = json!(MARKUP);

    let fake = Fake::start(world).await;
    let browser = Browser::open(&fake.origin()).await;
    let views = [
        "/?record=1",
        "/?view=sessions",
        "/?view=sessions&key=evil",
        "/?view=person&user=evil",
        "/?view=usage",
    ];
    let shown = [
        ".detail dl",
        ".sessions tbody",
        ".timeline",
        ".traits",
        "table.users",
    ];

    for (view, shown) in views.into_iter().zip(shown) {
        browser.go(view).await;
        browser.until_text(shown, MARKUP).await;
        browser.assert_no_markup().await;
    }
    browser.assert_clean().await;
}

#[tokio::test]
async fn older_records_come_page_by_page() {
    let fake = Fake::start(World::usual()).await;
    let browser = Browser::open(&fake.origin()).await;
    browser.click(".older").await;
    browser
        .until(&format!(
            "document.querySelectorAll('{ROWS}').length === 140"
        ))
        .await;

    let order = format!(
        "[...document.querySelectorAll('{ROWS}')].map((row) => Number(row.dataset.position))"
    );
    let expected: Vec<u64> = (1..=140).rev().collect();
    assert_eq!(browser.eval(&order).await, json!(expected));

    browser
        .until("document.querySelector('.older').hidden")
        .await;
}

#[tokio::test]
async fn numbers_beyond_the_doubles_keep_their_digits() {
    let records = vec![record(
        1,
        1,
        &json!({"app.number": 9_223_372_036_854_775_807_i64}),
    )];
    let fake = Fake::start(World {
        records,
        ..World::usual()
    })
    .await;
    let browser = Browser::open(&fake.origin()).await;
    browser.click(ROWS).await;
    browser.until_text(".detail", "9223372036854775807").await;
}
