//! What the page shows of states that a healthy collector hardly ever has.

use serde_json::json;

use crate::browser::Browser;
use crate::fake::{Fake, World};

#[tokio::test]
async fn looks() {
    let fake = Fake::start(World::usual()).await;
    let browser = Browser::open(&fake.origin()).await;
    browser.until("document.querySelectorAll('.records tbody tr').length === 100").await;
    let _ = json!({});
    for theme in ["light", "dark"] {
        browser.theme(theme).await;
        for (width, height) in [(1600, 900), (1280, 800), (1024, 768), (768, 900), (360, 740)] {
            browser.resize(width, height).await;
            for (name, path, ready) in [
                ("live", "/", "tbody tr"),
                ("detail", "/?record=138", ".detail h3"),
                ("sessions", "/?view=sessions", "tbody tr"),
                ("timeline", "/?view=sessions&key=s-ada-1", ".timeline li"),
                ("usage", "/?view=usage", ".plot svg"),
                ("streams", "/?view=streams", ".stream"),
            ] {
                browser.go(path).await;
                browser.until(&format!("document.querySelector({:?})", ready)).await;
                browser.screenshot(&format!("fake-{theme}-{width}-{name}")).await;
                browser.assert_fits().await;
            }
        }
    }
    browser.assert_clean().await;
}
