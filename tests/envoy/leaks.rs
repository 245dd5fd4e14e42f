//! No secret reaches the audit cluster, the log or the statistics.

use serde_json::{Value, json};
use testkit::Mesh;
use testkit::audit::sink::{Answer, Sink};
use testkit::client::{CallOptions, http_get};
use testkit::envoy::bootstrap::{Bootstrap, forbidding};
use testkit::envoy::mesh::list;
use testkit::upstream::PreparedAnswer;

/// No two of these share more than a few bytes.
const COOKIE: &str = "cookie-9f1d63aa";
const BEARER: &str = "bearer-27c05be4";
const PASSWORD: &str = "password-e81a44d0";
const API_KEY: &str = "apikey-5b7720cf";
const ANSWERED: &str = "answered-c3960e12";
const BODY: &str = "body-0d2f8871";
const HMAC_KEY: &str = "hmac-key-b64f19e3-of-thirty-two-bytes";
/// `ada:basic-4e1c7d90`, and its base64.
const BASIC: &str = "YWRhOmJhc2ljLTRlMWM3ZDkw";
const BASIC_PASSWORD: &str = "basic-4e1c7d90";
/// Not a secret: must be found, which proves that the search works.
const HARMLESS: &str = "harmless-71b3";

const SECRETS: [&str; 9] = [
    COOKIE,
    BEARER,
    PASSWORD,
    API_KEY,
    ANSWERED,
    BODY,
    HMAC_KEY,
    BASIC,
    BASIC_PASSWORD,
];

fn plugin() -> Value {
    let capture = json!({
        "query": ["password", "apiKey", "q"],
        "request_headers": ["authorization", "cookie", "x-api-key", "x-harmless"],
        "response_headers": ["set-cookie", "x-auth-token", "x-harmless"],
    });
    let user = json!({"user_id": [{"response_json": "/UserId"}]});
    let rule = |name: &str, path: &str| {
        json!({"name": name, "match": {"path": {"prefix": path}}, "level": "request", "capture": capture, "identity": user,
            "extra_fields": ["upstream_cluster", "peer_uri_san", "response_flags", "response_code_details"]})
    };
    let mut login = rule("login", "/login");
    login["session"] = json!("start");

    let mut held = rule("held", "/held");
    held["require_audit"] = json!("acknowledged");
    let tracked = json!({"name": "tracked", "match": {"tracked": true}, "level": "request", "capture": capture});
    json!({
        "batch": {"max_delay": "50ms"},
        "retry": {"initial_backoff": "20ms", "max_backoff": "50ms"},
        "session": {"id": [{"header": "x-session-id"}, {"bearer": true}], "hmac_keys": [{"id": "k1", "key": "${AUDIT_HMAC_KEY}"}]},
        "rules": [tracked, login, held, rule("audited", "/audited"), {"name": "check", "match": {"path": {"exact": "/check"}}}],
    })
}

async fn mesh() -> Mesh {
    let mut bootstrap = Bootstrap::shipped()
        .with_plugin(&plugin())
        .with_filter_at(0, &forbidding("/audited/forbidden"));
    bootstrap.set_variable("AUDIT_HMAC_KEY", HMAC_KEY);
    let mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await;
    mesh.envoy.admin_post("/logging?wasm=trace").await;
    mesh
}

/// One request with a secret in every possible place; its answer has some too.
async fn send(mesh: &Mesh, path: &str, more: &[(&str, &str)], authorization: &str) {
    let (cookie, answered) = (
        format!("session={COOKIE}; other={COOKIE}"),
        format!("set-cookie: session={ANSWERED}"),
    );

    let token = format!("x-auth-token: {ANSWERED}");
    let headers = [
        ("cookie", cookie.as_str()),
        ("authorization", authorization),
        ("x-api-key", API_KEY),
        ("x-harmless", HARMLESS),
        ("user-agent", HARMLESS),
        ("x-demo-response-header", &answered),
        ("x-demo-response-header", &token),
    ];

    let path =
        format!("{path}?password={PASSWORD}&apiKey={API_KEY}&q={HARMLESS}&unlisted={PASSWORD}");
    let headers = list(&[&headers, more].concat());
    // Some of them end without an answer.
    let _ = http_get(mesh.http, &path, headers, &CallOptions::default()).await;
}

/// One request for each kind of ending.
async fn send_everything(mesh: &Mesh, authorization: &str) {
    let tracked = [("x-session-track", "true"), ("x-session-context", "Y3R4")];

    for path in [
        "/untracked",
        "/audited",
        "/login",
        "/held",
        "/audited/forbidden",
    ] {
        send(mesh, path, &[], authorization).await;
        for script in [
            ("x-demo-status", "401"),
            ("x-demo-status", "500"),
            ("x-demo-reset", "before"),
            ("x-demo-reset", "after-headers"),
        ] {
            send(mesh, path, &[script], authorization).await;
            send(mesh, path, &[tracked[0], tracked[1], script], authorization).await;
        }
    }

    for body in [
        format!(r#"{{"UserId":1,"Secret":"{BODY}"}}"#),
        format!(r#"{{"UserId":"{BODY}"#),
    ] {
        let answer =
            PreparedAnswer::whole(200, [("content-type", "application/json")], body).unwrap();
        mesh.upstream.prepare("/audited/body", answer);
        send(mesh, "/audited/body", &[], authorization).await;
    }

    for script in ["unary", "status:16:no", "reset"] {
        let cookie = format!("session={COOKIE}");
        let headers = [
            ("authorization", authorization),
            ("cookie", &cookie),
            ("x-api-key", API_KEY),
        ];
        let _ = mesh
            .call(&[&headers, &tracked[..], &[("x-demo-grpc", script)]].concat())
            .await;
    }
}

/// All bytes that the audit cluster received.
pub fn sent(mesh: &Mesh) -> String {
    let mut all = Vec::new();
    for attempt in mesh.sink.attempts() {
        all.extend_from_slice(attempt.path.as_bytes());
        for (name, value) in attempt.headers.iter() {
            all.extend_from_slice(&[b"\n", name.as_bytes(), b": ", value].concat());
        }
        all.extend_from_slice(&attempt.body);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// Whether a text is in a place, regardless of case.
pub fn finds(place: &str, text: &str) -> bool {
    place
        .to_ascii_lowercase()
        .contains(&text.to_ascii_lowercase())
}

#[tokio::test]
async fn no_secret_goes_anywhere() {
    let mesh = mesh().await;
    // Errors, so that the filter logs.
    let trouble = [
        Answer::Status(500, HARMLESS),
        Answer::Status(400, "{}"),
        Answer::Garbage,
        Answer::Status(404, "{}"),
    ];
    mesh.sink.answer_next(trouble);

    let (bearer, basic) = (format!("Bearer {BEARER}"), format!("Basic {BASIC}"));
    send_everything(&mesh, &bearer).await;
    send_everything(&mesh, &basic).await;
    mesh.exchanges_until_marker().await;
    let stats = settled(&mesh).await;

    let records = mesh.sink.exchanges();
    let rules = ["tracked", "login", "held", "audited"];
    for rule in rules {
        assert!(
            records
                .iter()
                .any(|record| record.text("audit.rule") == rule),
            "{rule} was never recorded"
        );
    }

    assert!(
        records
            .iter()
            .any(|record| record.text("audit.auth") == "basic")
    );

    let token_refs = records
        .iter()
        .filter(|record| record.text("session.token_ref").starts_with("hmac-sha256:"));
    assert!(token_refs.count() > 50, "the tokens were read");

    let (sent, log) = (sent(&mesh), mesh.envoy.log());
    for (place, text, known) in [
        ("what was sent", &sent, HARMLESS),
        ("the log", &log, "configured: stream"),
        ("the statistics", &stats, "audit_filter.records.captured"),
    ] {
        assert!(finds(text, known), "nothing would be found in {place}");
        for secret in SECRETS {
            assert!(!finds(text, secret), "{secret} is in {place}");
        }
    }

    assert!(
        log.contains("[trace][wasm]"),
        "the log has everything that there is to be said: {log}"
    );
    assert!(finds(&log, &records[0].text("audit.stream.id")), "{log}");
}

/// All of `/stats` after the delivery of all records.
async fn settled(mesh: &Mesh) -> String {
    mesh.stats_when("an empty buffer", |stats| stats["buffer.records"] == 0)
        .await;
    mesh.envoy.admin_get("/stats").await
}

#[tokio::test]
async fn basic_credentials_are_hidden_in_every_mode() {
    for mode in ["clear", "sha256", "omit"] {
        let rules = json!([{"name": "all"}]);
        let mesh =
            Mesh::with_plugin(&json!({"session": {"token_mode": mode}, "rules": rules})).await;

        for scheme in ["Basic", "bASIC"] {
            send(
                &mesh,
                "/any",
                &[("cookie", "theme=dark")],
                &format!("{scheme} {BASIC}"),
            )
            .await;
        }

        let mut records = mesh.sink.wait_for(2).await;
        records.retain(|record| record.text("audit.auth") == "basic");
        assert_eq!(records.len(), 2, "{mode}");

        let sent = sent(&mesh);
        assert!(
            finds(&sent, HARMLESS) && !finds(&sent, BASIC) && !finds(&sent, BASIC_PASSWORD),
            "{mode}"
        );
        // The cookie is the session's token. The mode `clear` records it, and the search finds it
        // there.
        assert_eq!(finds(&sent, COOKIE), mode == "clear");
    }
}
