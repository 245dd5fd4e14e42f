//! Envoy Gateway: the plugin of `deploy/envoy-gateway/policy.yaml` is disabled in the listener and
//! enabled by route, and Envoy fetches its code over HTTP.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use testkit::audit::ledger::Ledger;
use testkit::client::{CallOptions, http_get};
use testkit::envoy::mesh::list;
use testkit::headers::Headers;
use testkit::upstream::{PreparedAnswer, Upstream};
use testkit::{Mesh, tools};

use crate::manifest::Plugin;
use crate::parts::{cluster, listener, manager};
use crate::proxy::{Proxy, UPSTREAM};
use crate::{CONTROL, troubleshooting};

on_each_envoy!(
    only_routes_of_the_policy_are_audited,
    another_file_is_not_loaded,
    a_crashed_vm_answers_503_from_then_on,
    fail_reload_by_a_patch_makes_the_vm_anew,
    drained_and_terminated_loses_nothing
);

/// The cluster of Envoy Gateway's controller, which serves modules.
const CODE: &str = "wasm_cluster";
const CODE_PATH: &str = "/audit.wasm";

/// A gateway with the route `/v1` of the policy, the route `/open` of another one, and no others.
struct Gateway {
    module: Vec<u8>,
    /// The digest in the policy.
    sha256: String,
    patch: Value,
    failure_policy: Option<&'static str>,
}

impl Gateway {
    fn new() -> Self {
        Self::running(tools::wasm())
    }

    fn running(wasm: &Path) -> Self {
        let module = fs::read(wasm).unwrap();
        let sha256 = hexadecimal(&Sha256::digest(&module));
        Self {
            module,
            sha256,
            patch: json!({"batch": {"max_delay": "50ms"}, "rules": [{"name": "all"}]}),
            failure_policy: None,
        }
    }

    async fn start(self, version: &str) -> Mesh {
        let upstream = Upstream::start().await.unwrap();
        // Envoy fetches once more after a failure.
        for _ in 0..2 {
            let answer = PreparedAnswer::whole(200, Headers::new(), self.module.clone());
            upstream.prepare(CODE_PATH, answer.unwrap());
        }

        let uri = format!("http://envoy-gateway{CODE_PATH}");
        let code = json!({"remote": {"sha256": self.sha256,
            "http_uri": {"uri": uri, "cluster": CODE, "timeout": "10s"}}});
        let mut plugin = Plugin::of_envoy_gateway(&code, &self.patch);
        if let Some(policy) = self.failure_policy {
            plugin.config["failure_policy"] = json!(policy);
        }

        let proxy = Proxy {
            listeners: vec![edge(&plugin)],
            clusters: vec![cluster(CODE, upstream.http_addr())],
            audit: "audit",
            variables: plugin.variables,
            ..Proxy::default()
        };
        proxy.before(upstream, version, "edge").await
    }
}

fn edge(plugin: &Plugin) -> Value {
    let mut filter = plugin.filter();
    filter["disabled"] = json!(true);
    let on = json!({plugin.name.clone(): {
        "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {}}});
    let to = json!({"cluster": UPSTREAM});
    let routes = json!([
        {"match": {"prefix": "/v1"}, "route": to, "typed_per_filter_config": on},
        {"match": {"prefix": "/open"}, "route": to},
    ]);

    let mut manager = manager("edge", &[filter], &routes);
    manager["typed_config"]["use_remote_address"] = json!(true);
    listener("edge", "OUTBOUND", &manager)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn only_routes_of_the_policy_are_audited(version: &str) {
    let mut gateway = Gateway::new();
    gateway.patch["trust"] = json!({"cidrs": ["127.0.0.1/32"]});
    let mesh = gateway.start(version).await;
    let stranger = CallOptions::from_ip(Ipv4Addr::new(127, 0, 0, 2));
    for (path, options, status) in [
        ("/nowhere", stranger, 404),
        ("/open", stranger, 200),
        ("/v1/stranger", stranger, 200),
        ("/v1/trusted", CallOptions::default(), 200),
    ] {
        let answer = http_get(mesh.http, path, list(&CONTROL), &options).await;
        assert_eq!(answer.unwrap().status, status, "{path}");
    }

    let records = mesh.sink.wait_for(2).await;
    let paths: Vec<String> = records
        .iter()
        .map(|record| record.text("url.path"))
        .collect();
    assert_eq!(paths, ["/v1/stranger", "/v1/trusted"]);
    assert_eq!(records[0].text("client.address"), "127.0.0.2");

    // Nothing removes what a client sends to a route without the policy.
    let arrived = |path: &str| {
        let seen = mesh.upstream.seen().at_path(path).remove(0).headers;
        CONTROL.map(|(name, _)| seen.contains(name))
    };
    assert_eq!(arrived("/v1/stranger"), [false; 3]);
    assert_eq!(arrived("/v1/trusted"), [false, false, true]);
    assert_eq!(arrived("/open"), [true; 3]);
}

async fn another_file_is_not_loaded(version: &str) {
    let mut gateway = Gateway::new();
    gateway.sha256 = hexadecimal(&Sha256::digest(b"another file"));
    let mesh = gateway.start(version).await;
    assert_eq!(mesh.get("/v1/orders", &[]).await.status, 503);
    assert_eq!(mesh.get("/open", &[]).await.status, 200);
    troubleshooting::assert_printed(&mesh, "a sha256 that does not match").await;
}

/// Traps the only VM.
async fn crash(mesh: &Mesh) {
    let trap = [("x-audit-crash-for-tests", "headers")];
    assert_eq!(mesh.get("/v1/trap", &trap).await.status, 503);
}

async fn a_crashed_vm_answers_503_from_then_on(version: &str) {
    let mesh = Gateway::running(tools::crashing_wasm())
        .start(version)
        .await;
    assert_eq!(mesh.get("/v1/before", &[]).await.status, 200);
    crash(&mesh).await;

    // Longer than the backoff after which `FAIL_RELOAD` makes a VM.
    let end = testkit::now() + Duration::from_secs(2);
    while testkit::now() < end {
        assert_eq!(mesh.get("/v1/after", &[]).await.status, 503);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(mesh.get("/open", &[]).await.status, 200);
    troubleshooting::assert_printed(&mesh, "a crashed VM without FAIL_RELOAD").await;
}

async fn fail_reload_by_a_patch_makes_the_vm_anew(version: &str) {
    let mut gateway = Gateway::running(tools::crashing_wasm());
    gateway.failure_policy = Some("FAIL_RELOAD");
    let mesh = gateway.start(version).await;
    assert_eq!(mesh.get("/v1/before", &[]).await.status, 200);
    crash(&mesh).await;

    let end = testkit::now() + testkit::DEADLINE;
    while mesh.get("/v1/after", &[]).await.status != 200 {
        assert!(testkit::now() < end, "{}", mesh.envoy.log());
    }
}

/// As the shutdown manager does (envoyproxy/gateway `internal/cmd/envoy/shutdown_manager.go`): it
/// fails health checks, and waits at least `minDrainDuration`. Then SIGTERM comes, with a record
/// that still waits here.
async fn drained_and_terminated_loses_nothing(version: &str) {
    let mut gateway = Gateway::new();
    gateway.patch["batch"] = json!({"max_records": 3, "max_delay": "1h"});
    let mut mesh = gateway.start(version).await;
    for path in ["/v1/1", "/v1/2"] {
        mesh.get(path, &[]).await;
    }
    mesh.sink.wait_for(2).await;
    mesh.stats_when("an answered batch", |stats| {
        stats["records.acknowledged"] == 3 && stats["in_flight.batches"] == 0
    })
    .await;

    mesh.envoy.admin_post("/healthcheck/fail").await;
    assert_eq!(mesh.get("/v1/late", &[]).await.status, 200);
    assert!(mesh.envoy.terminate().await.success());

    let late = mesh.sink.wait_for(3).await.pop().unwrap();
    assert_eq!(late.text("url.path"), "/v1/late");
    let ends = mesh.sink.events("audit.stream.end");
    assert_eq!(ends.len(), 1, "the last batch has it");
    Ledger::of(&mesh).assert_accounts_for(3);
}
