//! `GET /api/search`: suggestions for what is typed, and records by name and e-mail.

use serde_json::json;

use crate::common::{Collector, record_at, uids};

async fn with_people() -> Collector {
    let collector = Collector::start().await;
    let person = |uid: &str, id: &str, name: &str, email: &str, session: &str, action: &str| {
        let said = json!({
            "user.id": id, "user.name": name, "user.email": email, "session.id": session, "audit.action": action,
        });
        record_at(uid, 9, &said)
    };
    collector
        .keep(&[
            person(
                "aud_1",
                "u1",
                "Ann Smith",
                "ann@example.com",
                "an-1",
                "GET /annual",
            ),
            person(
                "aud_2",
                "u2",
                "Bob Annan",
                "bob@example.com",
                "bo-1",
                "POST /check",
            ),
            person(
                "aud_3",
                "u1",
                "Ann Smith",
                "Ann@Example.com",
                "an-2",
                "GET /annual",
            ),
            record_at(
                "aud_4",
                9,
                &json!({"user.email": "ann@example.com", "audit.action": "login"}),
            ),
        ])
        .await;
    collector
}

/// Kinds and values of the suggestions.
async fn found(collector: &Collector, query: &str) -> Vec<String> {
    let answer = collector.get_ok(&format!("/api/search?{query}")).await;
    let list = answer["suggestions"].as_array().unwrap();
    list.iter()
        .map(|one| {
            let part = |name: &str| one[name].as_str().unwrap_or("-").to_owned();
            [part("kind"), part("value"), part("user_id")].join(" | ")
        })
        .collect()
}

#[tokio::test]
async fn what_is_typed_finds_users_names_mails_sessions_and_actions() {
    let collector = with_people().await;

    for (query, expected) in [
        (
            "q=An",
            vec![
                "user_name | Ann Smith | u1",
                "user_name | Bob Annan | u2",
                "user_email | Ann@Example.com | u1",
                "user_email | ann@example.com | -",
                "user_email | ann@example.com | u1",
                "action | GET /annual | -",
            ],
        ),
        ("q=an-", vec!["session | an-1 | u1", "session | an-2 | u1"]),
        ("q=an-&limit=1", vec!["session | an-1 | u1"]),
        ("q=u", vec!["user | u1 | u1", "user | u2 | u2"]),
        ("q=/AN", vec!["action | GET /annual | -"]),
        ("q=get%20/", vec!["action | GET /annual | -"]),
        ("q=nn", vec![]),
        ("q=%25", vec![]),
        ("q=%00", vec![]),
    ] {
        assert_eq!(found(&collector, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn nothing_typed_is_refused() {
    let collector = Collector::start().await;
    for (query, message) in [
        ("", "q must be the beginning of a text"),
        ("q=+", "q must be the beginning of a text"),
        ("q=a&limit=21", "limit must be an integer from 1 to 20"),
    ] {
        collector
            .assert_refused(&format!("/api/search?{query}"), message)
            .await;
    }
    assert_eq!(
        collector.get_ok("/api/search?q=a").await,
        json!({"suggestions": []})
    );
}

#[tokio::test]
async fn records_are_found_by_name_and_mail() {
    let collector = with_people().await;
    for (query, expected) in [
        ("user_name=Ann%20Smith", vec!["aud_3", "aud_1"]),
        ("user_name=Ann", vec![]),
        ("user_email=ann@example.com", vec!["aud_4", "aud_1"]),
        ("user_email=ann@example.com&user=u1", vec!["aud_1"]),
        ("user_email=ann@example.com&after=1", vec!["aud_4"]),
    ] {
        assert_eq!(uids(&collector.list(query).await), expected, "{query}");
    }
}
