//! `GET /api/sessions` and `GET /api/sessions/{key}`: the state of a session, and its signals.

use serde_json::{Value, json};

use crate::common::{Collector, RECEIVED_AT, record_at, uids};

const SECOND: i64 = 1_000_000_000;

/// A time as the API shows it.
fn ago(seconds: i64) -> Value {
    (RECEIVED_AT - seconds * SECOND).to_string().into()
}

async fn session(collector: &Collector, key: &str) -> Value {
    collector.get_ok(&format!("/api/sessions/{key}")).await["session"].clone()
}

/// State, end and cause of the end.
async fn state(collector: &Collector, key: &str) -> Value {
    let session = session(collector, key).await;
    json!([
        session["state"],
        session["end_unix_nano"],
        session["ended_by"]
    ])
}

async fn keys(collector: &Collector, query: &str) -> Value {
    let answer = collector.get_ok(&format!("/api/sessions?{query}")).await;
    answer["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| session["key"].clone())
        .collect()
}

#[tokio::test]
async fn a_session_sums_up_its_records_in_any_order() {
    let collector = Collector::start().await;
    let told = |action: &str, outcome: &str, user: Option<&str>, name: Option<&str>| {
        let mut attributes =
            json!({"session.id": "s1", "audit.action": action, "audit.outcome": outcome});
        for (key, value) in [("user.id", user), ("user.name", name)] {
            if let Some(value) = value {
                attributes[key] = value.into();
            }
        }
        attributes
    };
    let mut first = told("login", "success", Some("u1"), Some("Zoë"));
    first["session.token_ref"] = "sha256:aa".into();

    let middle = told("read", "denied", Some("u1"), None);
    let last = told("write", "failure", None, None);
    collector.keep(&[record_at("aud_3", 50, &last)]).await;
    collector
        .keep(&[
            record_at("aud_1", 100, &first),
            record_at("aud_2", 70, &middle),
        ])
        .await;

    let expected = json!({
        "key": "s1",
        "session_id": "s1",
        "token_ref": "sha256:aa",
        "user_id": "u1",
        "user_name": "Zoë",
        "start_unix_nano": ago(100),
        "last_seen_unix_nano": ago(50),
        "end_unix_nano": null,
        "duration_ms": 50_000.0,
        "events": 3,
        "last_action": "write",
        "last_outcome": "failure",
        "state": "open",
        "ended_by": null,
    });

    let answer = collector.get_ok("/api/sessions/s1").await;
    assert_eq!(answer["session"], expected);
    assert_eq!(
        uids(answer["records"].as_array().unwrap()),
        ["aud_3", "aud_2", "aud_1"]
    );
    assert_eq!(
        collector.get_ok("/api/sessions").await,
        json!({"sessions": [expected], "next_cursor": null})
    );
}

#[tokio::test]
async fn a_name_is_not_shown_beside_another_user() {
    let collector = Collector::start().await;
    let told =
        |user: &str, name: &str| json!({"session.id": "s1", "user.id": user, "user.name": name});
    collector
        .keep(&[record_at("aud_1", 9, &told("u1", "Zoë"))])
        .await;

    collector
        .keep(&[record_at(
            "aud_2",
            8,
            &json!({"session.id": "s1", "user.id": "u2"}),
        )])
        .await;

    let now = session(&collector, "s1").await;
    assert_eq!(
        (&now["user_id"], &now["user_name"]),
        (&json!("u2"), &json!(null))
    );
}

#[tokio::test]
async fn a_token_is_a_session_only_where_no_session_id_is() {
    let collector = Collector::start().await;
    let token = "hmac-sha256:k:a/b";
    collector
        .keep(&[
            record_at("aud_1", 9, &json!({"session.token_ref": token})),
            record_at(
                "aud_2",
                8,
                &json!({"session.token_ref": token, "session.id": "s1"}),
            ),
            record_at("aud_3", 7, &json!({"session.token_ref": token})),
            record_at("aud_4", 6, &json!({})),
        ])
        .await;
    assert_eq!(keys(&collector, "").await, json!([token, "s1"]));

    let answer = collector
        .get_ok("/api/sessions/hmac-sha256%3Ak%3Aa%2Fb")
        .await;
    assert_eq!(
        (
            &answer["session"]["session_id"],
            &answer["session"]["events"]
        ),
        (&json!(null), &json!(2))
    );

    assert_eq!(
        uids(answer["records"].as_array().unwrap()),
        ["aud_3", "aud_1"]
    );
}

#[tokio::test]
async fn a_session_ends_by_rule_by_logout_or_by_silence() {
    let collector = Collector::start().await;

    collector
        .keep(&[
            record_at("aud_1", 90, &json!({"session.id": "rule"})),
            record_at(
                "aud_2",
                80,
                &json!({"session.id": "rule", "audit.session.event": "end"}),
            ),
            record_at(
                "aud_3",
                90,
                &json!({"session.id": "logout", "audit.action": "logout"}),
            ),
            record_at("aud_4", 30 * 60, &json!({"session.id": "quiet"})),
            record_at("aud_5", 30 * 60 + 1, &json!({"session.id": "silent"})),
            record_at(
                "aud_6",
                5000,
                &json!({"session.id": "start", "audit.session.event": "start"}),
            ),
            record_at(
                "aud_7",
                5,
                &json!({"session.id": "start", "audit.action": "logout now"}),
            ),
        ])
        .await;

    for (key, expected) in [
        ("rule", json!(["ended", ago(80), "rule"])),
        ("logout", json!(["ended", ago(90), "logout"])),
        ("quiet", json!(["open", null, null])),
        ("silent", json!(["ended", ago(30 * 60 + 1), "idle"])),
        ("start", json!(["open", null, null])),
    ] {
        assert_eq!(state(&collector, key).await, expected, "{key}");
    }

    assert_eq!(
        keys(&collector, "state=open").await,
        json!(["start", "quiet"])
    );
    assert_eq!(
        keys(&collector, "state=ended").await,
        json!(["rule", "logout", "silent"])
    );
}

#[tokio::test]
async fn a_session_is_open_again_when_something_comes_after_its_end() {
    let collector = Collector::start().await;
    let end = json!({"session.id": "s1", "audit.session.event": "end"});
    collector.keep(&[record_at("aud_1", 60, &end)]).await;
    assert_eq!(
        state(&collector, "s1").await,
        json!(["ended", ago(60), "rule"])
    );

    collector
        .keep(&[record_at("aud_0", 70, &json!({"session.id": "s1"}))])
        .await;
    assert_eq!(
        state(&collector, "s1").await,
        json!(["ended", ago(60), "rule"]),
        "what came before the end, but late"
    );

    collector
        .keep(&[record_at("aud_2", 50, &json!({"session.id": "s1"}))])
        .await;
    assert_eq!(state(&collector, "s1").await, json!(["open", null, null]));
    assert_eq!(keys(&collector, "state=open").await, json!(["s1"]));
    assert_eq!(keys(&collector, "state=ended").await, json!([]));
}

#[tokio::test]
async fn sessions_are_found_by_user_id_token_and_time() {
    let collector = Collector::start().await;
    let told = |session: &str, user: &str, token: &str| json!({"session.id": session, "user.id": user, "session.token_ref": token});
    collector
        .keep(&[
            record_at("aud_1", 300, &told("s1", "u1", "sha256:a")),
            record_at("aud_2", 200, &told("s2", "u2", "sha256:a")),
            record_at("aud_3", 100, &told("s3", "u1", "sha256:b")),
        ])
        .await;

    for (query, expected) in [
        ("user=u1", json!(["s3", "s1"])),
        ("session=s2", json!(["s2"])),
        ("token_ref=sha256:a", json!(["s2", "s1"])),
        ("token_ref=sha256:a&user=u1", json!(["s1"])),
        ("from=200s", json!(["s3", "s2"])),
        ("to=200s", json!(["s1"])),
        ("user=", json!([])),
    ] {
        assert_eq!(keys(&collector, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn an_unknown_session_is_404() {
    let collector = Collector::start().await;
    let answer = collector.get("/api/sessions/s1").await;
    let expected = json!({"code": 5, "message": "there is no session with this key"});
    assert_eq!((answer.status, answer.body), (404, expected));
}

#[tokio::test]
async fn an_exchange_with_several_stages_counts_once_and_the_filters_own_records_do_not() {
    let collector = Collector::start().await;
    let mut own = record_at("aud_3", 7, &json!({"session.id": "s1"}));
    own["eventName"] = "audit.loss".into();
    let mut rpc = record_at("aud_4", 6, &json!({"session.id": "s1"}));
    rpc["eventName"] = "audit.rpc".into();

    collector
        .keep(&[
            record_at(
                "aud_1",
                9,
                &json!({"session.id": "s1", "audit.stage": "received"}),
            ),
            record_at(
                "aud_2",
                9,
                &json!({"session.id": "s1", "audit.stage": "complete"}),
            ),
            record_at(
                "aud_5",
                8,
                &json!({"session.id": "s1", "audit.stage": "started"}),
            ),
            own,
            rpc,
        ])
        .await;

    assert_eq!(session(&collector, "s1").await["events"], 2);
}

#[tokio::test]
async fn a_clock_that_is_wrong_spoils_no_session() {
    let collector = Collector::start().await;
    collector
        .keep(&[
            record_at("aud_1", 90, &json!({"session.id": "s1"})),
            record_at("aud_2", -86_400, &json!({"session.id": "s1"})),
            record_at("aud_3", 86_400 * 365, &json!({"session.id": "s1"})),
        ])
        .await;

    let now = session(&collector, "s1").await;
    assert_eq!(
        (&now["start_unix_nano"], &now["last_seen_unix_nano"]),
        (&ago(90), &ago(0))
    );
}

#[tokio::test]
async fn a_signal_is_kept_when_it_changes_with_the_record_that_brought_it() {
    let collector = Collector::start().await;
    let with = |context: &str| json!({"session.id": "s1", "audit.session.context": context});
    // {"device_id":"d1","country":"DE"} in base64, and then as plain text.
    let mut hashed = with(r#"{"device_id":"d9"}"#);
    hashed["audit.session.context_hashed"] = true.into();

    collector
        .keep(&[
            record_at(
                "aud_1",
                90,
                &with("eyJkZXZpY2VfaWQiOiJkMSIsImNvdW50cnkiOiJERSJ9"),
            ),
            record_at(
                "aud_2",
                80,
                &with(r#"{"country":"DE","device_id":"d1","other":1}"#),
            ),
            record_at("aud_3", 70, &with("no context")),
            record_at("aud_4", 60, &hashed),
        ])
        .await;

    // In another slice than the record it is compared with.
    collector
        .keep(&[
            record_at("aud_5", 50, &with(r#"{"device_id":"d1","country":"FR"}"#)),
            record_at("aud_6", 40, &with(r#"{"device_id":7}"#)),
            record_at(
                "aud_7",
                30,
                &json!({"session.id": "s2", "audit.session.context": r#"{"country":"FR"}"#}),
            ),
        ])
        .await;

    let answer = collector.get_ok("/api/sessions/s1").await;
    let signal = |name: &str, value: &str, seconds: i64, number: i64| json!({"name": name, "value": value, "since_unix_nano": ago(seconds), "record_uid": format!("aud_{number}"), "position": number});
    let expected = [
        signal("country", "DE", 90, 1),
        signal("device_id", "d1", 90, 1),
        signal("country", "FR", 50, 5),
        signal("device_id", "7", 40, 6),
    ];
    assert_eq!(answer["signals"], json!(expected));
    assert_eq!(
        collector.get_ok("/api/sessions/s2").await["signals"],
        json!([signal("country", "FR", 30, 7)])
    );
}
