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

/// Calls of the SDK that the filter never makes. They are forbidden together.
const UNUSED: [&str; 13] = [
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_set_buffer_bytes",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
];

/// What the module imports and exports.
fn capabilities() -> (Vec<String>, Vec<String>) {
    let module = Module::from_file(tools::wasm()).unwrap();
    let imports = module.imports.iter().map(|import| import.name.clone());
    let exports = module.exports.iter().map(|export| export.name.clone());
    (imports.collect(), exports.collect())
}

/// All capabilities but these.
fn without(forbidden: &[&str]) -> Bootstrap {
    let (imports, exports) = capabilities();
    let allowed: Map<String, Value> = imports
        .into_iter()
        .chain(exports)
        .filter(|name| !forbidden.contains(&name.as_str()))
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
        assert_refused(&without(&[name]), &[name]);
    }
}

#[tokio::test]
async fn without_any_other_call_requests_are_served() {
    let (imports, _) = capabilities();
    let in_turn: Vec<&str> = imports
        .iter()
        .map(String::as_str)
        .filter(|name| !REQUIRED.contains(name) && !UNUSED.contains(name))
        .collect();
    assert!(in_turn.len() > 15, "{in_turn:?}");

    for name in in_turn {
        serves(&[name]).await;
    }
    serves(&UNUSED).await;
}

/// Requests are served without these calls, and the log names those that are reported.
async fn serves(forbidden: &[&str]) {
    let mesh = Mesh::with_bootstrap(without(forbidden), Sink::start().await, 1).await;
    for _ in 0..2 {
        let answer = mesh.get("/check", &[("x-session-track", "true")]).await;
        assert_eq!(answer.status, 200, "{forbidden:?}");
    }
    let called = mesh.call(&[]).await.unwrap();
    assert_eq!(called.grpc_status().as_deref(), Some("0"), "{forbidden:?}");

    let log = mesh.envoy.log();
    assert!(!log.contains("in-VM backtrace"), "{forbidden:?}: {log}");
    for name in forbidden {
        let is_reported = log.lines().any(|line| reports(line, name));
        assert_eq!(is_reported, REPORTED.contains(name), "{name}: {log}");
    }
}

/// Whether a line of the log is about this call.
fn reports(line: &str, name: &str) -> bool {
    let is_forbidden = line.contains("forbids") && line.contains(&format!("{name}:"));
    line.contains("[warn") && (is_forbidden || line.contains(&format!("({name})")))
}
