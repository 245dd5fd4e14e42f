//! `check-usage.yaml`: usage of `/check`, as the IMQS authservice tracks it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use testkit::audit::sink::Answer;
use testkit::client::{CallOptions, http_get};
use testkit::envoy::mesh::list;
use testkit::envoy::process::variable;

use super::{example, example_with, quick_example, texts};
use crate::leaks::sent;

const NAME: &str = "check-usage";
const COOKIE: (&str, &str) = ("cookie", "lang=en; session=s3cret-t0ken");

/// The reference that a router with the same key computes for the session.
fn reference_of(token: &str) -> String {
    let key = variable("SESSION_HMAC_KEY");
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes())
        .unwrap()
        .chain_update(token);
    let digits: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("hmac-sha256:1:{digits}")
}

/// "Enabled: one entry with token, user id and non-zero time."
#[tokio::test]
async fn a_check_is_recorded_with_user_session_and_time() {
    let mesh = quick_example(NAME).await;
    let answer = mesh.get("/check", &[COOKIE]).await;
    assert!(
        answer.text().contains("UserId"),
        "the answer is the service's own"
    );

    let records = mesh.settled(1).await;
    assert_eq!(records.len(), 1);

    let record = &records[0];
    for (name, value) in [
        ("audit.rule", "check"),
        ("user.id", "42"),
        ("audit.identity.source", "response_json"),
        ("session.token_ref", &reference_of("s3cret-t0ken")),
        ("http.response.status_code", "200"),
        ("service.name", "authservice"),
    ] {
        assert_eq!(record.text(name), value, "{name}");
    }

    let start: u64 = record.raw["timeUnixNano"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(start > 0);
    assert!(
        !record.raw.to_string().contains("ada"),
        "of the user only the id is kept"
    );
}

/// "Only on success": no record for the other statuses of the handler.
#[tokio::test]
async fn nothing_but_success_is_recorded() {
    let mesh = quick_example(NAME).await;
    for status in ["302", "400", "401", "403", "500"] {
        assert_eq!(
            mesh.get("/check", &[COOKIE, ("x-demo-status", status)])
                .await
                .status
                .to_string(),
            status
        );
    }

    let broken_off = list(&[COOKIE, ("x-demo-reset", "after-headers")]);
    assert!(
        http_get(mesh.http, "/check", broken_off, &CallOptions::default())
            .await
            .is_err()
    );

    mesh.request("POST", "/check", &[COOKIE]).await;
    mesh.get("/login", &[COOKIE]).await;
    mesh.get("/check", &[COOKIE]).await;

    let records = mesh.settled(1).await;
    assert_eq!(texts(&records, "http.response.status_code"), ["200"]);
    assert_eq!(
        mesh.stat_at_least("records.excluded", 6).await["records.excluded"],
        6
    );
}

#[tokio::test]
async fn no_token_is_ever_in_clear() {
    let mesh = quick_example(NAME).await;
    mesh.get(
        "/check?session=s3cret-t0ken",
        &[COOKIE, ("authorization", "Bearer s3cret-t0ken")],
    )
    .await;
    mesh.settled(1).await;

    for text in [sent(&mesh), mesh.envoy.log()] {
        assert!(
            !text.contains("s3cret-t0ken") && !text.contains(&variable("SESSION_HMAC_KEY")),
            "{text}"
        );
    }
}

/// The original tracker stored an empty token for them.
#[tokio::test]
async fn a_check_with_basic_credentials_is_marked() {
    let mesh = quick_example(NAME).await;
    mesh.get("/check", &[("authorization", "Basic YWRhOnB3")])
        .await;
    let records = mesh.settled(1).await;
    assert!(!records[0].has("session.token_ref"));
    assert_eq!(
        (records[0].text("audit.auth"), records[0].text("user.id")),
        ("basic".to_owned(), "42".to_owned())
    );
}

/// "Disabled: nothing stored."
#[tokio::test]
async fn a_disabled_tracking_records_nothing() {
    let mesh = example_with(
        NAME,
        &json!({"enabled": false, "batch": {"max_delay": "50ms"}}),
    )
    .await;
    assert_eq!(
        mesh.get("/check", &[COOKIE, ("x-session-track", "true")])
            .await
            .status,
        200
    );

    let stats = mesh.stat_at_least("headers.stripped", 1).await;
    assert_eq!(stats["records.captured"], 0);
}

/// "Normal timed flush", by count: a batch that reaches a thousand records does not wait for the
/// minute.
#[tokio::test]
async fn a_thousand_leave_at_once_in_one_callout() {
    let mesh = example(NAME).await;
    mesh.repeat(998, "/check").await;
    let stats = mesh.stat_at_least("records.captured", 999).await;
    assert_eq!(
        (stats["buffer.records"], mesh.sink.attempts().len()),
        (999, 0),
        "the others wait"
    );

    mesh.repeat(1, "/check").await;
    assert_eq!(mesh.settled(999).await.len(), 999);
    assert_eq!(
        mesh.sink.attempts().len(),
        1,
        "the announcement of the stream makes a thousand of them"
    );
}

/// "Flush failure keeps records", which the original test of that name never caused; also records
/// that arrive during a flush.
#[tokio::test]
async fn a_failed_flush_keeps_the_records_and_those_that_come_meanwhile() {
    let mesh = quick_example(NAME).await;
    mesh.sink.answer_next([
        Answer::Status(503, "busy"),
        Answer::CutOff,
        Answer::Status(503, "busy"),
    ]);
    mesh.repeat(5, "/check").await;
    mesh.stat_at_least("batches.failed", 1).await;
    mesh.repeat(5, "/check").await;

    let records = mesh.settled(10).await;
    assert_eq!(records.len(), 10, "none is lost, and none is stored twice");
}

/// "Overload 3000 into 1000: 1000 kept, 2000 counted dropped"; the original never reported its
/// counter.
#[tokio::test]
async fn what_the_buffer_cannot_hold_is_dropped_counted_and_reported() {
    // The backoff grows with the duration of the requests.
    let patch = json!({"buffer": {"max_records": 1000}, "batch": {"max_delay": "50ms"}, "retry": {"max_backoff": "1s"}});
    let mesh = example_with(NAME, &patch).await;
    mesh.sink.answer_all(Some(Answer::Status(503, "down")));
    mesh.repeat(3000, "/check").await;

    let stats = mesh
        .stat_at_least("records.dropped.buffer_full", 2000)
        .await;
    assert_eq!(stats["records.dropped.buffer_full"], 2000);

    mesh.sink.answer_all(None);
    let records = mesh.settled(1000).await;
    assert_eq!(records.len(), 1000);

    mesh.sink.wait_for_losses(2000).await;
}

/// The service's original buffer of ten thousand fits, by bytes too.
#[tokio::test]
async fn ten_thousand_checks_wait_for_the_minute() {
    let mesh = example(NAME).await;
    mesh.sink.answer_all(Some(Answer::Hang));
    mesh.repeat(10_000, "/check").await;
    let stats = mesh.stat_at_least("records.captured", 10_001).await;
    assert_eq!(stats["records.dropped.buffer_full"], 0, "{stats:#?}");

    mesh.repeat(1, "/check").await;
    assert_eq!(
        mesh.stat_at_least("records.dropped.buffer_full", 1).await["records.dropped.buffer_full"],
        1
    );
}
