//! The search field of the header, with keys alone.

use serde_json::{Value, json};

use crate::browser::{Browser, key};
use crate::fake::{Fake, World};
use crate::stored::{Stored, line};

const FIELD: &str = "#search-field";
const OPTIONS: &str =
    "[...document.querySelectorAll('#search [role=option]')].map((option) => option.innerText)";
/// Text of the option that the field names as active, null without one.
const ACTIVE: &str = "document.getElementById(document.querySelector('#search-field').getAttribute('aria-activedescendant'))?.innerText ?? null";

/// Holds each answer to a search until the test releases it, whether or not it is still wanted.
const HELD: &str = "(window.usual = window.fetch, window.fetch = (url, options) => {
  const text = url.searchParams?.get('q');
  if (url.pathname !== '/api/search') return window.usual(url, options);
  const suggestions = [{kind: 'action', value: text, user_id: null}];
  return new Promise((answer) => { (window.held ??= {})[text] = () => answer(new Response(JSON.stringify({suggestions}))); });
}, true)";

fn people() -> Vec<Value> {
    let more = [
        json!({"user.id": "42", "user.name": "Ada Lovelace", "user.email": "ada@example.com", "session.id": "s-ada-1"}),
        json!({"user.id": "7", "user.name": "Grace Hopper", "user.email": "grace@example.com", "session.id": "s-grace-1",
            "audit.action": "adapt_report"}),
        json!({"user.name": "Adam Nobody"}),
    ];
    (0..)
        .zip(&more)
        .map(|(number, more)| line(number, 60 - number, more))
        .collect()
}

/// Types into the field and waits until `count` suggestions are shown.
async fn suggested(browser: &Browser, text: &str, count: usize) {
    browser.fill(FIELD, text).await;
    browser
        .until(&format!("{OPTIONS}.length === {count}"))
        .await;
}

#[tokio::test]
async fn a_person_is_found_by_name_with_keys_alone() {
    let stored = Stored::start(&people()).await;
    let browser = Browser::open(&stored.origin()).await;
    browser.until_text(".records", "Grace Hopper").await;

    // What begins with it, or has a word that does, of every kind.
    suggested(&browser, "ada", 4).await;
    let options = browser.eval(OPTIONS).await.to_string();
    for shown in [
        "Ada Lovelace",
        "Adam Nobody",
        "ada@example.com",
        "adapt_report",
    ] {
        assert!(options.contains(shown), "{options}");
    }
    assert_eq!(browser.eval(ACTIVE).await, Value::Null);
    assert_eq!(browser.text("#search [role=status]").await, "4 suggestions");

    browser.press(&[key::DOWN]).await;
    browser
        .until(&format!("{ACTIVE}?.includes('Ada Lovelace')"))
        .await;
    browser.press(&[key::DOWN, key::DOWN, key::DOWN]).await;
    browser
        .until(&format!("{ACTIVE}?.includes('adapt_report')"))
        .await;
    assert_eq!(
        browser.count("#search [aria-selected=true]").await,
        1,
        "one is active at a time"
    );
    browser.screenshot("search").await;

    // From the last one by way of the field to the first, and back to the field.
    browser.press(&[key::DOWN]).await;
    assert_eq!(browser.eval(ACTIVE).await, Value::Null);
    browser
        .press(&[key::UP, key::DOWN, key::DOWN, key::ENTER])
        .await;
    browser.until("location.search !== ''").await;
    browser.until_text("main", "Ada Lovelace").await;
    assert!(browser.address().await.ends_with("user=42"));
    assert_eq!(
        browser
            .eval("[document.activeElement.id, document.querySelector('#search-field').value]")
            .await,
        json!(["view", ""])
    );

    browser.back().await;
    browser.until("location.search === ''").await;
    browser.assert_clean().await;
}

#[tokio::test]
async fn enter_takes_the_only_suggestion_and_escape_none() {
    let stored = Stored::start(&people()).await;
    let browser = Browser::open(&stored.origin()).await;
    browser.until_text(".records", "Grace Hopper").await;

    suggested(&browser, "adapt", 1).await;
    browser.press(&[key::ESCAPE]).await;
    assert_eq!(
        browser
            .eval("[document.querySelector('#search [role=listbox]').hidden, document.querySelector('#search-field').value]")
            .await,
        json!([true, "adapt"])
    );
    browser.press(&[key::ESCAPE]).await;
    assert_eq!(
        browser
            .eval("document.querySelector('#search-field').value")
            .await,
        ""
    );

    suggested(&browser, "adapt", 1).await;
    browser.press(&[key::ENTER]).await;
    browser
        .until("location.search === '?action=adapt_report'")
        .await;

    suggested(&browser, "s-grace", 1).await;
    browser.press(&[key::ENTER]).await;
    browser
        .until("location.search === '?view=sessions&key=s-grace-1'")
        .await;

    // Without a user id there are the records of the name.
    suggested(&browser, "nobody", 1).await;
    browser.press(&[key::ENTER]).await;
    browser
        .until("location.search === '?user_name=Adam+Nobody'")
        .await;
    browser.until_text(".chips", "user name").await;
    browser
        .until("document.querySelectorAll('.records tbody tr').length === 1")
        .await;

    browser.fill(FIELD, "xyz").await;
    browser
        .until_text("#search .suggestion-none", "Nothing begins like this.")
        .await;
    browser.press(&[key::DOWN, key::ENTER]).await;
    assert_eq!(browser.eval(ACTIVE).await, Value::Null);
    browser.assert_clean().await;
}

#[tokio::test]
async fn a_late_answer_to_an_earlier_text_is_not_shown() {
    let fake = Fake::start(World::usual()).await;
    let browser = Browser::open(&fake.origin()).await;

    browser.eval(HELD).await;
    for text in ["early", "late"] {
        browser.fill(FIELD, text).await;
        browser.until(&format!("window.held?.{text}")).await;
    }
    browser.eval("[window.held.late()]").await;
    browser.until_text("#search [role=option]", "late").await;
    browser.eval("[window.held.early()]").await;
    assert_eq!(
        browser.eval(OPTIONS).await,
        json!(["late\naction"]),
        "the list belongs to what is typed"
    );
}

#[tokio::test]
async fn a_suggestion_is_never_markup() {
    let name = "<img src=x onerror=\"window.harmed = true\">";
    let stored = Stored::start(&[line(0, 1, &json!({"user.name": name}))]).await;
    let browser = Browser::open(&stored.origin()).await;
    browser.until_text(".records", name).await;
    suggested(&browser, "<img", 1).await;
    browser.until_text("#search [role=option]", name).await;
    browser.assert_no_markup().await;
    browser.assert_clean().await;
}
