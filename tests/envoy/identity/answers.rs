//! The user's name from the answer to a session check.

use serde_json::json;

use super::{assert_named, checked, default_rules, mesh_of};

#[tokio::test]
async fn a_session_check_names_its_user_to_the_last_digit() {
    let mesh = mesh_of(default_rules(&json!({}))).await;

    for (body, user) in [
        (
            r#"{"UserId":9007199254740993,"Identity":"ada"}"#,
            "9007199254740993",
        ),
        (r#"{"UserId":18446744073709551615}"#, "18446744073709551615"),
        (r#"{"UserId":-9223372036854775808}"#, "-9223372036854775808"),
        (
            r#"{"more":{"UserId":1},"UserId":"al\u0069ce \ud83d\ude00 \"q\""}"#,
            "alice \u{1f600} \"q\"",
        ),
    ] {
        assert_named(
            &checked(&mesh, &[("cookie", "session=s3cret")], body).await,
            user,
            "response_json",
        );
    }
}

#[tokio::test]
async fn name_and_mail_come_from_the_configured_source() {
    let identity = json!({
        "user_id": [{"response_json": "/user/0/id"}],
        "user_name": [{"response_json": "/user/0/name"}, {"response_header": "x-name"}],
        "user_email": [{"response_header": "x-mail"}, {"response_json": "/user/0/mail"}],
    });
    let mesh = mesh_of(default_rules(
        &json!({"rules": [{"name": "all", "identity": identity}]}),
    ))
    .await;
    let body = r#"{"user":[{"id":"u-1","name":"Ada","mail":"json@example.com"}]}"#;
    let script = ("x-demo-response-header", "x-mail: header@example.com");
    mesh.get("/check", &[("x-demo-body", body), script]).await;

    let record = super::last_record(&mesh).await;
    assert_named(&record, "u-1", "response_json");
    assert_eq!(record.text("user.name"), "Ada");
    assert_eq!(
        record.text("user.email"),
        "header@example.com",
        "the first source that has a value"
    );
}
