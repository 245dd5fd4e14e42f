//! Other spellings of a path or host, as Envoy forwards them. Each is recorded under the rule of
//! its target, none is excluded by `level: none`, and no secret in a path or host is sent.

use serde_json::{Value, json};
use testkit::Mesh;
use testkit::audit::sink::Sink;
use testkit::client::{AnswerStream, CallOptions, GrpcOptions, Version, grpc_call, raw_exchange};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::headers::Headers;

use crate::leaks::{finds, sent};

const APP: &str = "app.example.com";
const SECRET: &str = "secret-6b04c1d7";

fn rules() -> Value {
    let rule = |name: &str, conditions: Value| json!({"name": name, "match": conditions});
    let none =
        |name: &str, conditions: Value| json!({"name": name, "match": conditions, "level": "none"});

    json!([
        none("quiet", json!({"path": {"prefix": "/healthz"}})),
        none("images", json!({"path": {"suffix": ".png"}})),
        none("internal", json!({"hosts": ["*.internal"]})),
        rule("orders", json!({"path": {"exact": "/v1/orders:cancel"}})),
        rule("file", json!({"path": {"exact": "/files/a%2Fb"}})),
        rule("name", json!({"path": {"exact": "/m%C3%BCller"}})),
        rule("pipe", json!({"path": {"exact": "/a%7Cb"}})),
        rule(
            "user",
            json!({"path": {"template": "/v1/users/{id}/password"}})
        ),
        rule("app", json!({"hosts": [APP]})),
        rule("literal", json!({"hosts": ["[2001:db8::7]"]})),
        rule("rest", json!({})),
    ])
}

/// An Envoy that does not normalise paths before the filter.
async fn mesh() -> Mesh {
    let plugin = json!({"batch": {"max_delay": "50ms"}, "rules": rules()});
    let bootstrap = Bootstrap::shipped().with_plugin(&plugin).with(|bootstrap| {
        for manager in bootstrap.connection_managers() {
            manager["normalize_path"] = json!(false);
            manager["merge_slashes"] = json!(false);
            manager["path_with_escaped_slashes_action"] = json!("KEEP_UNCHANGED");
        }
    });
    Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await
}

/// Sends a request that HTTP libraries refuse to write; yields the status.
async fn send(mesh: &Mesh, label: &str, target: &str, host: &str) -> String {
    let request = format!(
        "GET {target} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {label}\r\nconnection: close\r\n\r\n"
    );
    let answer = raw_exchange(mesh.http, request.as_bytes(), &CallOptions::default())
        .await
        .unwrap();

    String::from_utf8_lossy(&answer)
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .to_owned()
}

/// Targets on the host `other`, and the rule that must match each.
const TARGETS: [(&str, &str); 24] = [
    ("orders", "/v1/orders:cancel"),
    ("orders", "/v1/orders%3Acancel?x"),
    ("orders", "/%761//./orders%3acancel"),
    ("file", "/files/a%2Fb"),
    ("file", "/files/a%2fb"),
    ("name", "/m%C3%BCller"),
    ("name", "/m%c3%bcller"),
    ("pipe", "/a|b"),
    ("pipe", "/a%7cb"),
    ("user", "/v1/users/4%2f2/password"),
    ("user", "/healthz/../v1/users/42/%70assword"),
    ("rest", "/healthz/..%2fadmin"),
    ("rest", "/healthz/%2e%2e%2fadmin"),
    ("rest", "/healthz/..;/admin"),
    ("rest", r"/healthz\..\admin"),
    ("rest", "/healthz/..%5cadmin"),
    ("rest", "/healthz/%252e%252e/admin"),
    ("rest", "/healthz/%c0%ae%c0%ae/admin"),
    ("rest", "/healthz;x=1"),
    ("rest", "/healthz%"),
    ("rest", "/admin/../healthz"),
    ("rest", "//healthz/admin"),
    ("rest", "/admin%00.png"),
    ("rest", "/admin;.png"),
];

/// Hosts at the path `/`, the rule that must match each, and the recorded host.
const HOSTS: [(&str, &str, &str); 14] = [
    ("app", APP, APP),
    ("app", "APP.Example.com", APP),
    ("app", "app.example.com:8443", APP),
    ("app", "app.example.com.", APP),
    ("app", "app.example.com..:80", APP),
    ("app", "x:y@app.example.com", APP),
    ("app", "a.internal@app.example.com", APP),
    ("app", "%61pp%2Eexample.com", APP),
    ("literal", "[2001:db8::7]:80", "[2001:db8::7]"),
    ("literal", "[2001:DB8:0::7]", "[2001:db8:0::7]"),
    ("rest", "app.example.com.evil", "app.example.com.evil"),
    ("rest", "a.internal.", "a.internal"),
    ("rest", "app.example.com@a.internal", "a.internal"),
    (
        "rest",
        "app.example.com,a.internal",
        "app.example.com,a.internal",
    ),
];

/// Plain spellings that rules of level none exclude.
const EXCLUDED: [(&str, &str); 7] = [
    ("/healthz", "other"),
    ("/healthz?x=..%2f;//", "other"),
    ("/%68ealthz/m%C3%BCller%20", "other"),
    ("/a.png", "other"),
    ("/", "a.internal"),
    ("/", "A.Internal:8080"),
    ("/a;b", "a.internal"),
];

#[tokio::test]
async fn each_is_recorded_under_the_rule_of_what_it_names() {
    let mesh = mesh().await;
    for (index, (_, target)) in TARGETS.iter().enumerate() {
        assert_eq!(
            send(&mesh, &format!("target-{index}"), target, "other").await,
            "200",
            "{target} is forwarded"
        );
    }

    for (index, (_, host, _)) in HOSTS.iter().enumerate() {
        assert_eq!(
            send(&mesh, &format!("host-{index}"), "/", host).await,
            "200",
            "{host} is forwarded"
        );
    }

    for (target, host) in EXCLUDED {
        assert_eq!(
            send(&mesh, "excluded", target, host).await,
            "200",
            "{target} {host} is forwarded"
        );
    }

    // Over HTTP/2 Envoy forwards non-ASCII bytes.
    let label = Headers::from([("user-agent", "raw")]);
    let options = CallOptions::default();

    AnswerStream::open(
        mesh.http,
        Version::Http2,
        "GET",
        "/m\u{fc}ller",
        label,
        &options,
    )
    .await
    .unwrap();

    let records = mesh.exchanges_until_marker().await;
    let of = |label: &str| {
        let mut found = records
            .iter()
            .filter(|record| record.text("user_agent.original") == label);
        let record = found
            .next()
            .unwrap_or_else(|| panic!("{label} was not recorded"));
        assert!(found.next().is_none(), "{label} was recorded twice");
        record
    };

    for (index, (rule, target)) in TARGETS.iter().enumerate() {
        assert_eq!(
            of(&format!("target-{index}")).text("audit.rule"),
            *rule,
            "{target}"
        );
    }

    for (index, (rule, host, name)) in HOSTS.iter().enumerate() {
        let record = of(&format!("host-{index}"));
        assert_eq!(
            (
                record.text("audit.rule").as_str(),
                record.text("server.address").as_str()
            ),
            (*rule, *name),
            "{host}"
        );
    }

    assert_eq!(of("raw").text("audit.rule"), "name");
    assert_eq!(of("raw").text("url.path"), "/m%C3%BCller");
    assert_eq!(
        records.len(),
        TARGETS.len() + HOSTS.len() + 1,
        "nothing else was recorded"
    );

    mesh.stats_when("what is excluded", |stats| {
        stats.get("records.excluded") == Some(&(EXCLUDED.len() as u64))
    })
    .await;
}

#[tokio::test]
async fn no_secret_of_a_path_or_host_leaves() {
    let mesh = mesh().await;
    let user = format!("{SECRET}:{SECRET}@{APP}");
    let long = format!("/{};jsessionid={SECRET}", "a".repeat(4096 - 20));
    let targets = [
        format!("/shop;jsessionid={SECRET}/cart"),
        format!("/shop%3Bjsessionid%3D{SECRET}"),
        format!("/shop;page=2;SID={SECRET};x?token={SECRET}"),
        // Refused by Envoy.
        format!("/shop;jsessionid={SECRET}#top"),
        long,
    ];

    for (index, target) in targets.iter().enumerate() {
        send(&mesh, &format!("target-{index}"), target, &user).await;
    }

    let method = format!("/demo.Accounts/Get;sid={SECRET}");
    // The upstream's answer to such a method does not matter.
    let _ = grpc_call(mesh.grpc, &method, Headers::new(), &GrpcOptions::default()).await;

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), targets.len() + 1);

    let actions: Vec<String> = records
        .iter()
        .map(|record| record.text("audit.action"))
        .collect();

    for expected in [
        "GET /shop;jsessionid=[REDACTED]/cart",
        "GET /shop;jsessionid=[REDACTED]",
        "GET /shop;page=2;SID=[REDACTED];x",
        "/demo.Accounts/Get;sid=[REDACTED]",
    ] {
        assert!(
            actions.iter().any(|action| action == expected),
            "{expected}: {actions:#?}"
        );
    }

    let sent = sent(&mesh);
    assert!(
        finds(&sent, "jsessionid") && !finds(&sent, SECRET),
        "{actions:#?}"
    );
    assert!(!finds(&mesh.envoy.log(), SECRET), "{}", mesh.envoy.log());
}

#[tokio::test]
async fn what_envoy_cannot_read_has_an_action() {
    let mesh = mesh().await;
    let malformed = [
        "FOOBAR\r\n\r\n",
        "GET /a b HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a/b\r\nconnection: close\r\n\r\n",
    ];
    for request in malformed {
        raw_exchange(mesh.http, request.as_bytes(), &CallOptions::default())
            .await
            .unwrap();
    }

    send(&mesh, "options", "http://a?x", "a").await;
    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), malformed.len() + 1);

    for record in &records {
        let action = record.text("audit.action");
        assert!(action == "HTTP" || action.starts_with("GET"), "{action:?}");
        assert_eq!(action.trim(), action);
        assert_eq!(
            record.raw["body"]["stringValue"],
            format!("{action} failure")
        );
    }

    assert!(
        records
            .iter()
            .any(|record| record.text("audit.action") == "HTTP")
    );
}
