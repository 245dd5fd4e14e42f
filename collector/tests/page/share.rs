//! Links to views: the address has everything that is needed to show the same again.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::fake::{Fake, World};

/// What is shown: the text of the view, and what its controls are set to.
const SHOWN: &str = "JSON.stringify([document.querySelector('main').innerText,
  ...[...document.querySelectorAll('main :is(input, select)')].map((control) => control.value)])";

/// Takes what the page copies, in the place of the clipboard.
const COPIES: &str = "(navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }, true)";

/// Actions that lead from one view to the next, each with a sign that it is shown.
const STEPS: [(&str, &str); 8] = [
    ("nav [data-view=live]", ".records tbody tr"),
    (".records tbody tr:nth-child(2)", ".detail dl"),
    (".detail a[href*='view=sessions']", ".timeline .event"),
    (".session-head a[href*='view=person']", ".trait tbody tr"),
    ("nav [data-view=sessions]", ".sessions tbody tr"),
    ("nav [data-view=usage]", ".plot svg"),
    (".users a", "main:has(.chips:empty) .records tbody tr"),
    ("nav [data-view=streams]", "main:has(.stream) .history li"),
];

/// Presses the button, and yields the path and the query of the copied address.
async fn copied(browser: &Browser, origin: &str) -> String {
    browser.eval(COPIES).await;
    browser.click("#share button").await;
    browser.until_text("#share [role=status]", "Copied").await;
    let link = browser.eval("window.copied").await;
    let path = link.as_str().unwrap().strip_prefix(origin);
    path.expect("an address of the collector").to_owned()
}

#[tokio::test]
async fn a_copied_link_shows_the_same_view_and_back_works() {
    let fake = Fake::start(World::usual()).await;
    let sender = Browser::open(&fake.origin()).await;
    let reader = Browser::open(&fake.origin()).await;
    let mut seen: Vec<(String, Value)> = Vec::new();

    for (click, sign) in STEPS {
        sender.click(click).await;
        sender
            .until(&format!("document.querySelector(\"{sign}\")"))
            .await;
        let link = copied(&sender, &fake.origin()).await;
        let shown = sender.eval(SHOWN).await;

        reader.go(&link).await;
        let same = format!("{SHOWN} === {shown}");
        reader.until(&same).await;
        seen.push((link, shown));
    }

    for (link, shown) in seen.iter().rev().skip(1) {
        sender.back().await;
        sender
            .until(&format!(
                "location.pathname + location.search === {}",
                json!(link)
            ))
            .await;
        sender.until(&format!("{SHOWN} === {shown}")).await;
    }
    sender.assert_clean().await;
    reader.assert_clean().await;
}

#[tokio::test]
async fn controls_are_part_of_the_link() {
    let fake = Fake::start(World::usual()).await;
    let browser = Browser::open(&fake.origin()).await;

    let choices = [
        (
            "/?user_email=a@b.example",
            "outcome",
            "denied",
            "/?user_email=a%40b.example&outcome=denied",
        ),
        (
            "/?view=sessions",
            "state",
            "ended",
            "/?view=sessions&state=ended",
        ),
        ("/?view=usage", "bucket", "1d", "/?view=usage&bucket=1d"),
        (
            "/?view=streams",
            "status",
            "silent",
            "/?view=streams&status=silent",
        ),
    ];
    for (path, control, value, link) in choices {
        browser.go(path).await;
        browser.choose(&format!("#filter-{control}"), value).await;
        browser
            .until(&format!("location.search.includes('{control}={value}')"))
            .await;
        assert_eq!(copied(&browser, &fake.origin()).await, link);
    }
}

#[tokio::test]
async fn a_copied_link_has_no_password() {
    let fake = Fake::start(World::usual()).await;
    let origin = fake.origin().replace("//", "//on-call:open-sesame@");
    let browser = Browser::open(&origin).await;
    browser.go("/?outcome=denied").await;
    browser.until_text(".records", "denied").await;
    assert_eq!(copied(&browser, &fake.origin()).await, "/?outcome=denied");
}
