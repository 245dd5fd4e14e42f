//! Exports: every format, progress, and what stays of one that does not come to its end.

use serde_json::{Value, json};

use crate::browser::{Browser, key};
use crate::fake::{Fake, World};
use crate::stored::{Stored, line};

const EXPORT: &str = ".exports [type=submit]";
const CANCEL: &str = ".exports [type=button]";

/// Answers exports with a body that the test writes: `window.body`.
const WRITTEN: &str = "(window.usual = window.fetch, window.fetch = (url, options) => {
  if (!url.searchParams?.get('format')) return window.usual(url, options);
  const source = {start(body) {
    window.body = body;
    options.signal.addEventListener('abort', () => { window.isAborted = true; body.error(options.signal.reason); });
  }};
  return Promise.resolve(new Response(new ReadableStream(source)));
}, true)";

/// Writes a part of the body.
fn part(text: &str) -> String {
    format!(
        "[window.body.enqueue(new TextEncoder().encode({}))]",
        json!(text)
    )
}

async fn writing(fake: &Fake) -> Browser {
    let browser = Browser::open(&fake.origin()).await;
    browser.until_text(".records", "ada").await;
    browser.keep_downloads().await;
    browser.eval(WRITTEN).await;
    browser.click(EXPORT).await;
    browser.until("window.body").await;
    browser
}

#[tokio::test]
async fn every_format_exports_what_the_filters_match() {
    let mine = json!({"user.id": "42", "audit.action": "say \"a\",\nthen \"b\""});
    let other = json!({});
    let records: Vec<Value> = (0..30)
        .map(|number| {
            line(
                number,
                60 - number,
                if number < 20 { &mine } else { &other },
            )
        })
        .collect();
    let stored = Stored::start(&records).await;
    let browser = Browser::open(&stored.origin()).await;
    browser.keep_downloads().await;

    for path in ["/?user=42", "/?view=person&user=42"] {
        browser.go(path).await;
        browser.until("document.querySelector('.exports')").await;
        let formats =
            "[...document.querySelectorAll('.exports option')].map((option) => option.value)";
        let formats: Vec<String> = serde_json::from_value(browser.eval(formats).await).unwrap();
        assert!(formats.len() >= 2, "{formats:?}");

        for format in &formats {
            browser.choose(".exports select", format).await;
            browser.click(EXPORT).await;
            browser.until_text(".export-result", "Exported ").await;
            let result = browser.text(".export-result").await;
            let (name, bytes) = browser.saved().await;
            assert!(name.starts_with("records."), "{name}");

            // 20 records, each with a line feed in quotes; some formats hide how many there are.
            let size = f64::from(u32::try_from(bytes.len()).unwrap()) / 1000.0;
            let is_counted = result == format!("Exported 20 records, {size:.1} kB.");
            let is_measured = result == format!("Exported {size:.1} kB.");
            let is_text = matches!(format.as_str(), "csv" | "ndjson");
            assert!(
                is_counted || (is_measured && !is_text),
                "{format}: {result}"
            );
        }
    }
    browser.assert_clean().await;
}

#[tokio::test]
async fn an_export_shows_how_far_it_has_come_and_can_be_cancelled() {
    let fake = Fake::start(World::usual()).await;
    let browser = writing(&fake).await;
    assert_eq!(
        browser.eval("document.activeElement.textContent").await,
        "Cancel"
    );

    browser.eval(&part("time,action\n1,a\n2,\"b\n")).await;
    browser
        .until_text(".export-numbers", "1 record, 21 bytes")
        .await;
    // The line feed in quotes is no end of a record, and the quotes may end in another part.
    browser.eval(&part("b\"\n3,c\n")).await;
    browser.eval(&part("4,d\n")).await;
    browser
        .until_text(".export-numbers", "4 records, 32 bytes")
        .await;
    browser.screenshot("exporting").await;
    for width in [360, 768, 1600] {
        browser.resize(width, 800).await;
        browser.assert_fits().await;
        browser.screenshot(&format!("exporting-{width}")).await;
    }

    browser.press(&[key::ENTER]).await;
    browser
        .until_text(".export-result", "Cancelled, nothing was saved.")
        .await;
    assert_eq!(browser.eval("window.isAborted").await, true);
    browser
        .until("document.activeElement.textContent === 'Export'")
        .await;
    assert_eq!(browser.count(&format!("{CANCEL}[hidden]")).await, 1);
    assert_eq!(browser.text("#banner").await, "");

    // The next one is complete.
    browser.press(&[key::ENTER]).await;
    browser.until_text(".export-result", "Exporting.").await;
    browser.eval(&part("time\n1\n")).await;
    browser.eval("[window.body.close()]").await;
    browser
        .until_text(".export-result", "Exported 1 record, 7 bytes.")
        .await;
    let (name, bytes) = browser.saved().await;
    assert_eq!(
        (name.as_str(), &bytes[..]),
        ("records.csv", &b"time\n1\n"[..])
    );
    browser.assert_clean().await;
}

#[tokio::test]
async fn an_export_that_breaks_off_saves_nothing() {
    let fake = Fake::start(World::usual()).await;
    let browser = writing(&fake).await;
    browser.eval(&part("time\n1\n")).await;
    browser
        .eval("[window.body.error(new TypeError('network error'))]")
        .await;
    browser
        .until_text(".export-result", "Not exported: The answer broke off.")
        .await;

    browser.eval("(window.fetch = window.usual, true)").await;
    fake.change(|world| world.refusal = Some((504, "the question took too long")));
    browser.click(EXPORT).await;
    browser
        .until_text(".export-result", "Not exported: the question took too long")
        .await;
    fake.change(|world| world.refusal = None);
    browser
        .until("document.getElementById('banner').childElementCount === 0")
        .await;
}
