//! `session-audit.yaml`: the sessions of a document application, from login to logout.

use std::collections::BTreeSet;

use serde_json::json;
use testkit::client::{CallOptions, HttpAnswer, http_request};
use testkit::envoy::mesh::list;
use testkit::{Mesh, Record};

use super::{example_with, quick_example, texts};
use crate::leaks::sent;

const NAME: &str = "session-audit";

/// Users and their tokens, signed with the private key of the public key in the example.
const USERS: [(&str, &str); 3] = [
    (
        "ada",
        "Bearer eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJkb2N1bWVudHMiLCJzdWIiOiJhZGEifQ.cDvImd8Fh8PP0re2CS1bqKHQEHCIy604A3Jk\
         lZ0h4pT1CP2LNV4oakjWX7Bs8ao_QyOcH0-k4y5NExhS9RRknQ",
    ),
    (
        "bob",
        "Bearer eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJkb2N1bWVudHMiLCJzdWIiOiJib2IifQ.raAOUIYNYy3OVKMDiUA25VxFp89azdX8YK6b\
         45whbppVX1RG0sF47NKfPy5CRExTvoa29jtG5XQ_5HZDaJ4tBw",
    ),
    (
        "eve",
        "Bearer eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJkb2N1bWVudHMiLCJzdWIiOiJldmUifQ.Q1uroy9ZqHjtnqOXM5Jz5Cmyr4F7176-WV6I\
         1dCfFi8VdEOKqKIbN6UvCH4eAXFRc2LX4_1TIhTGkUoRYRIRNQ",
    ),
];

/// A logged-in user.
struct User<'a> {
    mesh: &'a Mesh,
    name: &'a str,
    token: &'a str,
    session: String,
}

impl<'a> User<'a> {
    async fn login(mesh: &'a Mesh, (name, token): (&'a str, &'a str)) -> Self {
        let body = json!({"access_token": "s3cret", "user_id": name}).to_string();
        let answer = mesh
            .request("POST", "/token", &[("x-demo-body", &body)])
            .await;
        let session = answer
            .headers
            .text("x-audit-session-id")
            .expect("the login answers with a session");

        Self {
            mesh,
            name,
            token,
            session,
        }
    }

    /// Sends a request with the headers of the frontend.
    async fn does(&self, method: &str, path: &str) -> HttpAnswer {
        self.mesh
            .request(
                method,
                path,
                &[
                    ("authorization", self.token),
                    ("x-audit-session-id", &self.session),
                ],
            )
            .await
    }
}

/// The records of a session without login and logout.
fn within<'r>(records: &'r [Record], user: &User<'_>) -> Vec<&'r Record> {
    let is_theirs = |record: &&Record| record.text("session.id") == user.session;
    records
        .iter()
        .filter(is_theirs)
        .filter(|record| !record.has("audit.session.event"))
        .collect()
}

/// "5 document opens: 5 captured"; a rate limiter had let only one or two through.
#[tokio::test]
async fn five_documents_opened_are_five_events() {
    let mesh = quick_example(NAME).await;
    let ada = User::login(&mesh, USERS[0]).await;
    for id in 1..=5 {
        ada.does("GET", &format!("/documents/{id}")).await;
    }

    ada.does("GET", "/logo.svg").await;
    ada.does("POST", "/logout").await;
    let records = mesh.settled(7).await;
    assert_eq!(records.len(), 7, "and nothing of what is no event");

    let opens = within(&records, &ada);
    assert_eq!(opens.len(), 5);

    for (record, id) in opens.into_iter().zip(1..) {
        for (name, value) in [
            ("audit.action", "document.open"),
            ("url.path", &format!("/documents/{id}")),
            ("http.route", "/documents/{id}"),
            ("user.id", "ada"),
            ("audit.identity.source", "metadata"),
            ("audit.outcome", "success"),
            ("audit.tag.retention", "1y"),
        ] {
            assert_eq!(record.text(name), value, "{name}");
        }
    }
}

/// "3 concurrent users: 9 of 9", each in a separate session.
#[tokio::test]
async fn three_users_at_once_are_nine_events_of_three_sessions() {
    let mesh = quick_example(NAME).await;
    let open_three = async |credentials| {
        let user = User::login(&mesh, credentials).await;
        for path in ["/documents/1", "/documents/2", "/documents/3"] {
            user.does("GET", path).await;
        }
        user
    };

    let users: [User<'_>; 3] = tokio::join!(
        open_three(USERS[0]),
        open_three(USERS[1]),
        open_three(USERS[2])
    )
    .into();
    let records = mesh.settled(12).await;
    assert_eq!(records.len(), 12);

    let sessions: BTreeSet<&str> = users.iter().map(|user| user.session.as_str()).collect();
    assert_eq!(sessions.len(), 3);

    for user in &users {
        let opens = within(&records, user);
        assert_eq!(opens.len(), 3, "{}", user.name);
        assert!(
            opens
                .iter()
                .all(|record| record.text("user.id") == user.name)
        );
    }
}

/// "Mixed session: 12 of 12", and "session leaves memory after end": the logout ends it, by the
/// header from the frontend.
#[tokio::test]
async fn a_mixed_session_is_whole_from_login_to_logout() {
    let mesh = quick_example(NAME).await;
    let ada = User::login(&mesh, USERS[0]).await;

    for (method, path) in [
        ("GET", "/documents/1"),
        ("GET", "/documents/2"),
        ("PUT", "/documents/1"),
        ("PUT", "/documents/2"),
        ("PUT", "/documents/1/status"),
        ("POST", "/documents/1/approve"),
        ("POST", "/documents/2/reject"),
        ("POST", "/ai/query"),
        ("GET", "/documents/1"),
        ("POST", "/ai/query"),
        ("POST", "/logout"),
    ] {
        ada.does(method, path).await;
    }

    let records = mesh.settled(12).await;
    let actions = [
        "user.login",
        "document.open",
        "document.open",
        "document.update",
        "document.update",
        "document.status_change",
        "document.approve",
        "document.reject",
        "ai.query.submitted",
        "document.open",
        "ai.query.submitted",
        "user.logout",
    ];

    assert_eq!(texts(&records, "audit.action"), actions);
    assert!(
        records
            .iter()
            .all(|record| record.text("session.id") == ada.session)
    );
    assert!(records.iter().all(|record| record.text("user.id") == "ada"));

    let mut events = texts(&records, "audit.session.event");
    events.retain(|event| !event.is_empty());
    assert_eq!(events, ["start", "end"]);
    assert_eq!(
        (
            records[0].text("audit.session.event"),
            records[11].text("audit.session.event")
        ),
        ("start".to_owned(), "end".to_owned())
    );

    let retention = texts(&records, "audit.tag.retention");
    assert_eq!(
        [&retention[0], &retention[3], &retention[6]],
        ["3y", "7y", "permanent"]
    );
}

/// Failed login, token validation failure and unauthorized access are sent at once, while others
/// wait for their batch.
#[tokio::test]
async fn security_events_do_not_wait() {
    let mesh = example_with(NAME, &json!({"batch": {"max_delay": "1h"}})).await;
    let ada = User::login(&mesh, USERS[0]).await;
    ada.does("GET", "/documents/1").await;

    let login = mesh
        .request("POST", "/token", &[("x-demo-status", "401")])
        .await;
    mesh.sink.wait_for(1).await;

    let forged = mesh
        .get(
            "/documents/1",
            &[("authorization", &ada.token.replace("zdWIi", "zdWJi"))],
        )
        .await;
    mesh.sink.wait_for(2).await;

    let refused = mesh
        .get(
            "/documents/1",
            &[("authorization", ada.token), ("x-demo-status", "403")],
        )
        .await;
    mesh.sink.wait_for(3).await;

    let stranger = mesh.get("/admin", &[]).await;
    mesh.sink.wait_for(4).await;
    mesh.request("POST", "/token", &[("x-demo-status", "422")])
        .await;

    let records = mesh.sink.wait_for(5).await;
    assert_eq!(
        [login.status, forged.status, refused.status, stranger.status],
        [401, 401, 403, 401]
    );

    let actions = [
        "user.login",
        "document.open",
        "document.open",
        "security.access_denied",
        "user.login",
    ];
    assert_eq!(texts(&records, "audit.action"), actions);
    assert_eq!(
        texts(&records, "audit.outcome"),
        ["denied", "denied", "denied", "denied", "failure"]
    );

    assert!(
        records
            .iter()
            .all(|record| record.text("audit.priority") == "immediate")
    );
    assert!(
        !records[0].has("audit.session.event") && !login.headers.contains("x-audit-session-id"),
        "no session"
    );
    assert_eq!(mesh.upstream.seen().at_path("/admin").len(), 0);

    // The stream's start is in the first of the five batches.
    assert_eq!(
        mesh.stat_at_least("records.acknowledged", 6).await["buffer.records"],
        2,
        "login and open still wait"
    );
}

/// "Rate limiting never hits security events": the original limit was a hundred a minute.
#[tokio::test]
async fn a_flood_of_failed_logins_is_recorded_login_by_login() {
    let mesh = quick_example(NAME).await;
    for _ in 0..150 {
        mesh.request("POST", "/token", &[("x-demo-status", "401")])
            .await;
    }
    assert_eq!(mesh.settled(150).await.len(), 150);
}

/// "Request id generated and preserved", in the answer as well.
#[tokio::test]
async fn every_answer_has_the_request_id_of_its_record() {
    let mesh = quick_example(NAME).await;
    let own = mesh
        .get(
            "/documents/1",
            &[("x-request-id", "req-7"), ("authorization", USERS[0].1)],
        )
        .await;
    let new = mesh
        .get("/documents/1", &[("authorization", USERS[0].1)])
        .await;
    let ids = texts(&mesh.settled(2).await, "audit.request_id");

    assert_eq!(own.headers.text("x-request-id").as_deref(), Some("req-7"));
    assert_eq!(
        ids,
        [
            "req-7".to_owned(),
            new.headers.text("x-request-id").unwrap()
        ]
    );
    assert!(!ids[1].is_empty());
}

/// "IP extraction order" used the leftmost `x-forwarded-for` first, which the client writes.
#[tokio::test]
async fn a_client_does_not_choose_its_address() {
    let mesh = quick_example(NAME).await;
    let forged = [
        ("x-forwarded-for", "8.8.8.8"),
        ("x-real-ip", "8.8.8.8"),
        ("authorization", USERS[0].1),
    ];
    mesh.get("/documents/1", &forged).await;

    assert_eq!(
        texts(&mesh.settled(1).await, "client.address"),
        ["127.0.0.1"]
    );
}

/// In the original, any client could write into the session of another user, or end it.
#[tokio::test]
async fn a_foreign_session_is_recorded_with_the_real_user() {
    let mesh = quick_example(NAME).await;
    let ada = User::login(&mesh, USERS[0]).await;
    let eve = User {
        session: ada.session.clone(),
        ..User::login(&mesh, USERS[2]).await
    };
    eve.does("POST", "/logout").await;

    let records = mesh.settled(3).await;
    let of = |record: &Record| (record.text("session.id"), record.text("user.id"));
    assert_eq!(of(&records[0]), (ada.session.clone(), "ada".to_owned()));
    assert_eq!(of(&records[2]), (ada.session.clone(), "eve".to_owned()));
}

/// A session never begins with an id from the client.
#[tokio::test]
async fn a_login_does_not_take_the_session_id_of_the_client() {
    let mesh = quick_example(NAME).await;
    let answer = mesh
        .request("POST", "/token", &[("x-audit-session-id", "chosen")])
        .await;
    let session = answer.headers.text("x-audit-session-id").unwrap();
    assert_ne!(session, "chosen");
    assert_eq!(texts(&mesh.settled(1).await, "session.id"), [session]);
}

/// "Sanitisation": neither token nor password; a question to the assistant is recorded without its
/// text.
#[tokio::test]
async fn neither_secrets_nor_content_are_recorded() {
    let mesh = quick_example(NAME).await;
    let ada = User::login(&mesh, USERS[0]).await;
    let headers = list(&[
        ("authorization", ada.token),
        ("content-type", "application/json"),
    ]);
    let question = r#"{"question": "t0p-s3cret"}"#;

    http_request(
        mesh.http,
        "POST",
        "/ai/query?q=t0p-s3cret",
        headers,
        question,
        &CallOptions::default(),
    )
    .await
    .unwrap();

    let records = mesh.settled(2).await;
    assert_eq!(records[1].text("audit.action"), "ai.query.submitted");
    assert!(records[1].text("session.token_ref").starts_with("sha256:"));

    let sent = sent(&mesh);
    for secret in ["s3cret", "eyJhbGciOiJFUzI1NiJ9"] {
        assert!(!sent.contains(secret), "{secret}");
    }
}
