//! The gateway role: only the edge decides by headers which requests the sidecar behind it records.

mod context;
mod forged;

use std::net::Ipv4Addr;

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::client::{CallOptions, GrpcOptions, grpc_call, http_get};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::mesh::list;
use testkit::headers::Headers;
use testkit::upstream::Seen;
use testkit::{Mesh, Record};

/// Neither the edge nor the sidecar trusts this address.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The path that the edge's rules match.
const PATH: &str = "/v1/password";
const METHOD: &str = "/demo.Accounts/ChangePassword";

const CONTROL: [&str; 2] = ["x-session-track", "x-session-operation"];
const CONTEXT: &str = "x-session-context";
const FORGED: [(&str, &str); 3] = [
    (CONTROL[0], "true"),
    (CONTROL[1], "forged"),
    (CONTEXT, "Zm9yZ2Vk"),
];

/// Two Envoys in series with one audit cluster: the edge's clusters are the sidecar's listeners.
struct Chain {
    edge: Mesh,
    sidecar: Mesh,
}

impl Chain {
    /// An edge with this plugin, and a sidecar with the default rules.
    async fn start(edge: Bootstrap) -> Self {
        Self::with_sidecar(edge, &json!({})).await
    }

    /// The same, with a patch of the sidecar's plugin. As in Istio, the sidecar takes the client's
    /// address from `x-forwarded-for`.
    async fn with_sidecar(edge: Bootstrap, patch: &Value) -> Self {
        let mut sidecar = quick("sidecar").with_plugin(patch);
        for manager in sidecar.connection_managers() {
            manager["use_remote_address"] = json!(false);
        }

        let sidecar = Mesh::with_bootstrap(sidecar, Sink::start().await, 1).await;
        let edge = Mesh::with_last_change(edge, Sink::start_down(), 1, |bootstrap| {
            bootstrap.point("demo_http", sidecar.http);
            bootstrap.point("demo_grpc", sidecar.grpc);
            bootstrap.point("audit", sidecar.sink.addr());
        })
        .await;
        Self { edge, sidecar }
    }

    async fn get(&self, path: &str, from: Ipv4Addr, headers: Headers) {
        let answer = http_get(self.edge.http, path, headers, &CallOptions::from_ip(from))
            .await
            .unwrap();
        assert_eq!(answer.status, 200);
    }

    async fn call(&self, method: &str, from: Ipv4Addr, headers: Headers, trailers: Headers) {
        let options = GrpcOptions {
            call: CallOptions::from_ip(from),
            trailers,
            ..GrpcOptions::default()
        };
        let answer = grpc_call(self.edge.grpc, method, headers, &options)
            .await
            .unwrap();
        assert_eq!(answer.grpc_status().as_deref(), Some("0"));
    }

    /// The only request with this path at the upstream behind the sidecar.
    #[track_caller]
    fn seen(&self, path: &str) -> Seen {
        let mut seen = self.sidecar.upstream.seen().at_path(path);
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen.remove(0)
    }

    /// All records of the sidecar, after its rules have seen every request. Fails if the edge has
    /// made a record.
    async fn records(&self, excluded_at_the_edge: u64) -> Vec<Record> {
        let stats = self
            .edge
            .stat_at_least("records.excluded", excluded_at_the_edge)
            .await;
        assert_eq!(
            (stats["records.excluded"], stats["records.captured"]),
            (excluded_at_the_edge, 0)
        );
        self.sidecar.exchanges_until_marker().await
    }
}

/// The shipped configuration with a short `max_delay` and this service name.
fn quick(service: &str) -> Bootstrap {
    Bootstrap::shipped().with_plugin(&json!({"service": service, "batch": {"max_delay": "50ms"}}))
}

/// An edge with this `set_tracking` in its rules for [`PATH`] and [`METHOD`].
fn edge(set_tracking: &Value) -> Bootstrap {
    let paths = [("password", PATH), ("rpc", METHOD)];
    let rules = paths
        .map(|(name, path)| json!({"name": name, "match": {"path": {"exact": path}}, "set_tracking": set_tracking}));
    quick("edge").with_plugin(&json!({"rules": rules}))
}

/// An edge that sets the operation, the user and the device.
fn usual_edge() -> Bootstrap {
    edge(
        &json!({"operation": "change_password", "context": {"device": {"header": "x-device-id"}, "peer": {"peer_address": true}}}),
    )
}

/// The JSON object of a context.
#[track_caller]
fn decoded(context: &str) -> Value {
    let value: Value = serde_json::from_slice(&Base64::decode_vec(context).unwrap()).unwrap();
    assert!(value.is_object(), "{value}");
    value
}

/// The context at the upstream, which the record must contain too. The headers for track and
/// operation must not arrive.
#[track_caller]
fn context_of(record: &Record, seen: &Seen) -> Value {
    for name in CONTROL {
        assert!(
            !seen.headers.contains(name) && !seen.trailers.contains(name),
            "{seen:#?}"
        );
    }

    let contexts = seen.headers.all(CONTEXT);
    assert_eq!(
        contexts,
        [record.text("audit.session.context").as_bytes()],
        "one value, the recorded one"
    );
    assert!(
        !seen.trailers.contains(CONTEXT) && !record.has("audit.header_conflict"),
        "{seen:#?} {record:#?}"
    );

    decoded(&record.text("audit.session.context"))
}

/// The only record, made at the sidecar with the edge's label.
#[track_caller]
fn only(records: Vec<Record>) -> Record {
    let [record] = records.try_into().unwrap();
    for (name, value) in [
        ("service.name", "sidecar"),
        ("audit.rule", "tracked"),
        ("audit.action", "change_password"),
        ("audit.outcome", "success"),
    ] {
        assert_eq!(record.text(name), value, "{name}");
    }

    record
}

#[tokio::test]
async fn a_request_is_recorded_once_where_it_is_served() {
    let chain = Chain::start(usual_edge()).await;
    chain
        .get(PATH, STRANGER, list(&[("x-device-id", "d-1")]))
        .await;
    chain
        .get("/other", STRANGER, list(&[("x-device-id", "d-1")]))
        .await;

    let record = only(chain.records(1).await);
    assert_eq!(
        context_of(&record, &chain.seen(PATH)),
        json!({"device": "d-1", "peer": "127.0.0.2"})
    );

    assert_eq!(
        (
            record.event.as_str(),
            record.text("client.address").as_str()
        ),
        ("audit.http", "127.0.0.2")
    );
    assert!(!chain.seen("/other").headers.contains(CONTEXT));
}

#[tokio::test]
async fn a_call_is_recorded_once_where_it_is_served() {
    let chain = Chain::start(usual_edge()).await;
    chain
        .call(
            METHOD,
            STRANGER,
            list(&[("x-device-id", "d-1")]),
            Headers::new(),
        )
        .await;

    chain
        .call(
            "/demo.Accounts/Other",
            STRANGER,
            Headers::new(),
            Headers::new(),
        )
        .await;

    let record = only(chain.records(1).await);
    assert_eq!(
        context_of(&record, &chain.seen(METHOD)),
        json!({"device": "d-1", "peer": "127.0.0.2"})
    );

    assert_eq!(
        (
            record.event.as_str(),
            record.text("rpc.response.status_code").as_str()
        ),
        ("audit.rpc", "OK")
    );
}

#[tokio::test]
async fn a_request_that_fails_behind_the_sidecar_is_recorded_as_it_ended() {
    let chain = Chain::start(usual_edge()).await;
    let denied = list(&[("x-demo-status", "403")]);
    let answer = http_get(chain.edge.http, PATH, denied, &CallOptions::default())
        .await
        .unwrap();
    assert_eq!(answer.status, 403);

    let records = chain.records(1).await;
    assert_eq!(
        records
            .iter()
            .map(|record| record.text("audit.outcome"))
            .collect::<Vec<_>>(),
        ["denied"]
    );
    assert_eq!(records[0].text("audit.action"), "change_password");
}

#[tokio::test]
async fn with_a_level_both_record() {
    let rules = json!({"rules": [{"name": "password", "match": {"path": {"exact": PATH}}, "level": "metadata",
        "set_tracking": {"operation": "change_password"}}]});
    let chain = Chain::start(quick("edge").with_plugin(&rules)).await;
    chain.get(PATH, STRANGER, list(&FORGED)).await;
    let mut records = chain.sidecar.sink.wait_for(2).await;
    records.sort_by_key(|record| record.text("service.name"));

    let [edge, sidecar] = records.try_into().unwrap();
    assert_eq!(
        (edge.text("audit.rule"), edge.text("audit.action")),
        ("password".into(), format!("GET {PATH}"))
    );
    assert!(
        !edge.has("audit.session.context"),
        "nothing of what the stranger sent: {edge:#?}"
    );

    assert_eq!(
        edge.text("audit.request_id"),
        sidecar.text("audit.request_id")
    );
    assert_eq!(
        context_of(&only(vec![sidecar]), &chain.seen(PATH)),
        json!({})
    );
}

#[tokio::test]
async fn a_sidecar_may_keep_the_context_from_its_upstream() {
    let strip = json!({"tracking": {"strip_context": true}});
    let chain = Chain::with_sidecar(usual_edge(), &strip).await;
    chain.get(PATH, STRANGER, Headers::new()).await;

    let record = only(chain.records(1).await);
    assert_eq!(
        decoded(&record.text("audit.session.context")),
        json!({"peer": "127.0.0.2"})
    );

    let seen = chain.seen(PATH);
    assert!(
        ![CONTROL[0], CONTROL[1], CONTEXT]
            .iter()
            .any(|name| seen.headers.contains(name)),
        "{seen:#?}"
    );
}
