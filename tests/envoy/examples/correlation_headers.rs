//! `correlation-headers.yaml`: numbers that join a gateway's log with the audit of the proxy before
//! it, as in coder's boundary.

use std::collections::BTreeSet;

use serde_json::json;
use testkit::audit::sink::{Answer, Sink};
use testkit::client::HttpAnswer;
use testkit::envoy::bootstrap::Bootstrap;
use testkit::upstream::Seen;
use testkit::{Mesh, Record};
use uuid::Uuid;

use super::{example_with, quick_example, texts};

const NAME: &str = "correlation-headers";
const SESSION: &str = "X-Coder-Agent-Firewall-Session-Id";
const NUMBER: &str = "X-Coder-Agent-Firewall-Sequence-Number";
const TARGET: &str = "/api/v2/aibridge/anthropic/v1/messages";
const GATEWAY: (&str, &str) = ("host", "coder.example.com");

async fn request_gateway(mesh: &Mesh) -> HttpAnswer {
    mesh.request("POST", TARGET, &[GATEWAY]).await
}

/// Session and number at the gateway, which accepts both or none, and each once.
fn pair(seen: &Seen) -> Option<(String, String)> {
    let (session, number) = (seen.headers.all(SESSION), seen.headers.all(NUMBER));
    assert_eq!(session.len(), number.len(), "both or none: {seen:#?}");
    assert!(session.len() <= 1, "{seen:#?}");
    Some((seen.headers.text(SESSION)?, seen.headers.text(NUMBER)?))
}

fn recorded_pair(record: &Record) -> (String, String) {
    (
        record.text("audit.correlation.session_id"),
        record.text("audit.correlation.number"),
    )
}

/// "Inject: matched", "audit and header agree": the gateway answers 400 unless the id is a UUID and
/// the number an int32.
#[tokio::test]
async fn header_and_record_of_a_target_agree() {
    let mesh = quick_example(NAME).await;
    request_gateway(&mesh).await;
    let records = mesh.settled(1).await;
    let (session, number) = pair(&mesh.upstream.seen().at_path(TARGET)[0]).unwrap();
    assert_eq!(
        recorded_pair(&records[0]),
        (session.clone(), number.clone())
    );
    assert_eq!(number, "0");

    let id = Uuid::parse_str(&session).unwrap();
    assert_eq!((id.get_version_num(), id.to_string()), (4, session));
}

/// "Port ignored", "unmatched", "path match and non-match", "non-target audited without headers".
#[tokio::test]
async fn only_targets_get_headers_and_everything_is_recorded() {
    let mesh = quick_example(NAME).await;
    for (host, path) in [
        ("coder.example.com:8443", TARGET),
        ("CODER.example.com", "/api/v2/aibridge/"),
        ("coder.example.com", "/api/v2/users"),
        ("coder.example.com", "/api/v2/aibridge-else"),
        ("registry.example.com", TARGET),
    ] {
        mesh.request("POST", path, &[("host", host)]).await;
    }

    let records = mesh.settled(5).await;
    assert_eq!(
        texts(&records, "audit.rule"),
        ["gateway", "gateway", "other", "other", "other"]
    );

    let numbers: Vec<_> = mesh
        .upstream
        .seen()
        .all()
        .iter()
        .map(|seen| pair(seen).map(|(_, number)| number))
        .collect();

    assert_eq!(
        numbers,
        [Some("0".to_owned()), None, None, None],
        "the upper-case host is not allowed"
    );
    assert_eq!(
        texts(&records, "audit.correlation.number"),
        ["0", "1", "", "", ""]
    );
}

/// "Overwrite", "spoofed overwritten"; on other requests the original passed a client's headers
/// unchanged.
#[tokio::test]
async fn what_a_client_writes_never_arrives() {
    let mesh = quick_example(NAME).await;
    let forged = [(SESSION, "forged"), (NUMBER, "7"), (NUMBER, "8")];
    mesh.request("POST", TARGET, &[&[GATEWAY], &forged[..]].concat())
        .await;
    mesh.get(
        "/v2/",
        &[&[("host", "registry.example.com")], &forged[..]].concat(),
    )
    .await;

    let records = mesh.settled(2).await;
    let seen = mesh.upstream.seen().all();
    assert_eq!(pair(&seen[0]), Some(recorded_pair(&records[0])));
    assert_ne!(pair(&seen[0]).unwrap().0, "forged");
    assert_eq!(pair(&seen[1]), None);
}

/// "Denied audited, never forwarded", and "gap across mixed requests": a denied request has used a
/// number.
#[tokio::test]
async fn what_is_denied_is_recorded_and_leaves_a_gap() {
    let mesh = quick_example(NAME).await;
    request_gateway(&mesh).await;
    assert_eq!(
        mesh.get(TARGET, &[GATEWAY]).await.status,
        403,
        "only POST is allowed there"
    );
    assert_eq!(
        mesh.get("/", &[("host", "evil.example.com")]).await.status,
        403
    );

    request_gateway(&mesh).await;
    let records = mesh.settled(4).await;
    assert_eq!(
        texts(&records, "audit.outcome"),
        ["success", "denied", "denied", "success"]
    );

    assert_eq!(
        texts(&records, "audit.correlation.number"),
        ["0", "1", "", "2"]
    );
    assert_eq!(texts(&records, "server.address")[2], "evil.example.com");
    assert!(
        records[1]
            .text("audit.response.code_details")
            .starts_with("rbac_access_denied")
    );

    let arrived: Vec<_> = mesh
        .upstream
        .seen()
        .all()
        .iter()
        .map(|seen| pair(seen).unwrap().1)
        .collect();
    assert_eq!(arrived, ["0", "2"]);
}

/// "10 concurrent requests: dense unique set", of one session, on two workers.
#[tokio::test]
async fn ten_requests_at_once_have_ten_numbers_without_a_gap() {
    let quick = Bootstrap::example(NAME).with_plugin(&json!({"batch": {"max_delay": "50ms"}}));
    let mesh = Mesh::with_bootstrap(quick, Sink::start().await, 2).await;
    let request = || async { request_gateway(&mesh).await };

    tokio::join!(
        request(),
        request(),
        request(),
        request(),
        request(),
        request(),
        request(),
        request(),
        request(),
        request()
    );

    let records = mesh.sink.wait_for(10).await;
    let seen = mesh.upstream.seen().at_path(TARGET);
    let arrived: BTreeSet<_> = seen.iter().map(|seen| pair(seen).unwrap()).collect();
    assert_eq!(
        records.iter().map(recorded_pair).collect::<BTreeSet<_>>(),
        arrived
    );

    assert_eq!(
        arrived
            .iter()
            .map(|(session, _)| session)
            .collect::<BTreeSet<_>>()
            .len(),
        1
    );

    let numbers: BTreeSet<u32> = arrived
        .iter()
        .map(|(_, number)| number.parse().unwrap())
        .collect();
    assert_eq!(numbers, (0..10).collect());
}

/// "Disabled: no headers, but still audited."
#[tokio::test]
async fn without_a_target_everything_is_recorded_and_nothing_injected() {
    let mesh = example_with(
        NAME,
        &json!({"batch": {"max_delay": "50ms"}, "rules": [{"name": "other"}]}),
    )
    .await;
    mesh.request("POST", TARGET, &[GATEWAY, (SESSION, "forged")])
        .await;
    assert_eq!(mesh.settled(1).await.len(), 1);
    assert_eq!(pair(&mesh.upstream.seen().at_path(TARGET)[0]), None);
}

/// "Flush on size": ten records are sent without the timer. "Session id in every flush."
#[tokio::test]
async fn ten_records_leave_at_once() {
    let mesh = example_with(NAME, &json!({"batch": {"max_delay": "1h"}})).await;
    for _ in 0..19 {
        request_gateway(&mesh).await;
    }

    let records = mesh.settled(19).await;
    assert_eq!(
        mesh.sink.attempts().len(),
        2,
        "with the announcement of the stream: two times ten"
    );

    assert_eq!(
        texts(&records, "audit.correlation.session_id")
            .into_iter()
            .collect::<BTreeSet<_>>()
            .len(),
        1
    );
}

/// "Drop when full", "drops reported": 20 and 10 are kept. The original reported drops only with a
/// later record.
#[tokio::test]
async fn what_is_dropped_is_reported_without_a_later_record() {
    let mesh = quick_example(NAME).await;
    mesh.sink.answer_all(Some(Answer::Status(503, "down")));
    for _ in 0..40 {
        request_gateway(&mesh).await;
    }
    let stats = mesh.stat_at_least("records.dropped.buffer_full", 10).await;
    assert_eq!(stats["records.dropped.buffer_full"], 10);

    mesh.sink.answer_all(None);
    assert_eq!(mesh.settled(30).await.len(), 30);
    mesh.sink.wait_for_losses(10).await;
}

/// "Retry after connection failure keeps the batch in order."
#[tokio::test]
async fn a_batch_survives_a_broken_connection_in_order() {
    let mesh = quick_example(NAME).await;
    mesh.sink.answer_next([Answer::CutOff, Answer::Garbage]);
    for _ in 0..5 {
        request_gateway(&mesh).await;
    }

    let records = mesh.settled(5).await;
    assert_eq!(
        texts(&records, "audit.correlation.number"),
        ["0", "1", "2", "3", "4"]
    );
}

/// "Audit URL is fully formed"; the original included the query with its secrets.
#[tokio::test]
async fn a_record_has_host_and_path_but_no_query() {
    let mesh = quick_example(NAME).await;
    mesh.request("POST", &format!("{TARGET}?key=s3cret"), &[GATEWAY])
        .await;

    let records = mesh.settled(1).await;
    assert_eq!(
        (
            records[0].text("server.address"),
            records[0].text("url.path")
        ),
        ("coder.example.com".to_owned(), TARGET.to_owned())
    );
    assert!(!records[0].raw.to_string().contains("s3cret"));
    assert_eq!(records[0].text("http.response.status_code"), "200");
}
