//! A collector that serves records only with the token.

use crate::browser::{Browser, DEADLINE};
use crate::supervised::{End, Supervised};

#[tokio::test]
async fn the_token_as_password_opens_the_page_and_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "open-sesame\n").unwrap();

    let database = format!("sqlite://{}/audit.db", folder.path().display());
    let flags = [
        "--listen",
        "127.0.0.1:0",
        "--database",
        &database,
        "--read-token-file",
        token.to_str().unwrap(),
    ];
    let mut collector = Supervised::start(End::Kill, env!("CARGO_BIN_EXE_audit-collector"), &flags);
    let address = collector.printed(DEADLINE, |line| {
        line.strip_prefix("listening on http://").map(str::to_owned)
    });
    let address = address.unwrap();

    let browser = Browser::open(&format!("http://on-call:open-sesame@{address}")).await;
    browser.until_text(".list-state", "No records yet").await;
    browser.click("nav [data-view=live]").await;
    browser.click("nav [data-view=usage]").await;
    browser.until("location.search === '?view=usage'").await;
    let stranger = Browser::open(&format!("http://{address}")).await;
    assert_eq!(stranger.count("#view").await, 0);
}
