//! Host calls that `vm_config.capability_restriction_config` forbids, each one in turn: refused at
//! the start with one line, or served with one line about what is missing, and never a trap.

use serde_json::{Map, Value, json};
use testkit::audit::sink::Sink;
use testkit::envoy::bootstrap::Bootstrap;
use testkit::{Mesh, tools};
use walrus::Module;

use crate::configuration::assert_refused;

/// Calls without which the filter refuses its configuration.
const REQUIRED: [&str; 9] = [
    "clock_time_get",
    "proxy_continue_stream",
    "proxy_get_buffer_bytes",
    "proxy_get_header_map_pairs",
    "proxy_http_call",
    "proxy_remove_header_map_value",
    "proxy_set_effective_context",
    "proxy_set_tick_period_milliseconds",
    "random_get",
];

/// Calls that are reported when they are missing.
const REPORTED: [&str; 6] = [
    "proxy_get_header_map_value",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_register_shared_queue",
    "proxy_replace_header_map_value",
    "proxy_set_shared_data",
];

/// What the module imports and exports.
fn capabilities() -> (Vec<String>, Vec<String>) {
    let module = Module::from_file(tools::wasm()).unwrap();
    let imports = module.imports.iter().map(|import| import.name.clone());
    let exports = module.exports.iter().map(|export| export.name.clone());
    (imports.collect(), exports.collect())
}

/// All capabilities but one.
fn without(forbidden: &str) -> Bootstrap {
    let (imports, exports) = capabilities();
    let allowed: Map<String, Value> = imports
        .into_iter()
        .chain(exports)
        .filter(|name| name != forbidden)
        .map(|name| (name, json!({})))
        .collect();

    Bootstrap::shipped().with(|bootstrap| {
        bootstrap.each_filter("audit", |filter| {
            filter["typed_config"]["config"]["vm_config"]["capability_restriction_config"] =
                json!({"allowed_capabilities": allowed});
        });
    })
}

#[test]
fn a_call_that_the_filter_needs_is_named_at_the_start() {
    for name in REQUIRED {
        assert_refused(&without(name), &[name]);
    }
}

#[tokio::test]
async fn without_any_other_call_requests_are_served() {
    let (imports, _) = capabilities();
    let others: Vec<String> = imports
        .into_iter()
        .filter(|name| !REQUIRED.contains(&name.as_str()))
        .collect();
    assert!(others.len() > 20, "{others:?}");

    for name in others {
        let mesh = Mesh::with_bootstrap(without(&name), Sink::start().await, 1).await;
        for _ in 0..2 {
            let answer = mesh.get("/check", &[("x-session-track", "true")]).await;
            assert_eq!(answer.status, 200, "{name}");
        }
        let called = mesh.call(&[]).await.unwrap();
        assert_eq!(called.grpc_status().as_deref(), Some("0"), "{name}: a call");

        let log = mesh.envoy.log();
        assert!(!log.contains("in-VM backtrace"), "{name}: {log}");
        let is_named = log.lines().any(|line| {
            line.contains("[warn") && line.contains(&format!("{name}:")) && line.contains("forbids")
                || line.contains(&format!("({name})"))
        });
        assert_eq!(is_named, REPORTED.contains(&name.as_str()), "{name}: {log}");
    }
}
