//! What one request costs in host calls, counted by kind in an interpreter that runs the shipped `.wasm`: numbers that
//! do not flicker. `cargo test --test host_calls -- --nocapture` prints them, with the fuel that the interpreter used.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test; the lint's exception covers test functions only, not their helpers"
)]

mod host;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use wasmi::{Config, Engine, Instance, Module, Store, WasmParams};

use host::{Host, REQUEST_HEADERS, RESPONSE_HEADERS, RESPONSE_TRAILERS, linker};

const ROOT: i32 = 1;
/// Requests before the one that is counted: they grow what grows once.
const WARM_UP: i32 = 20;
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// The shipped module, built once.
fn wasm() -> &'static [u8] {
    static WASM: OnceLock<Vec<u8>> = OnceLock::new();
    WASM.get_or_init(|| {
        let root = env!("CARGO_MANIFEST_DIR");
        let mut build = Command::new("bash");
        let output = build.arg("wasm-build.sh").current_dir(root).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "wasm-build.sh failed");
        let path = String::from_utf8(output.stdout).unwrap().lines().last().unwrap().to_owned();
        std::fs::read(std::path::Path::new(root).join(path)).unwrap()
    })
}

/// One VM with one configuration.
struct Vm {
    store: Store<Host>,
    instance: Instance,
}

/// What one request costs.
struct Cost {
    calls: BTreeMap<String, u32>,
    /// The interpreter's measure of what it has run, about one a wasm instruction.
    fuel: u64,
}

impl Vm {
    fn start(sections: &Value) -> Self {
        let mut config = json!({"audit_cluster": {"cluster": "audit"}});
        config.as_object_mut().unwrap().extend(sections.as_object().unwrap().clone());
        let engine = Engine::new(Config::default().consume_fuel(true));
        let module = Module::new(&engine, wasm()).unwrap();
        let mut store = Store::new(&engine, Host::default());
        store.set_fuel(u64::MAX).unwrap();
        let instance = linker(&engine, &module).instantiate_and_start(&mut store, &module).unwrap();
        let mut vm = Self { store, instance };
        let configuration = config.to_string().into_bytes();
        let size = i32::try_from(configuration.len()).unwrap();
        vm.store.data_mut().configuration = configuration;
        vm.call("_initialize", ());
        vm.call("proxy_on_context_create", (ROOT, 0));
        vm.ask("proxy_on_vm_start", (ROOT, 0));
        assert_eq!(vm.ask("proxy_on_configure", (ROOT, size)), 1, "{:?}", vm.store.data().log);
        vm
    }

    fn call(&mut self, name: &str, arguments: impl WasmParams) {
        let Ok(function) = self.instance.get_typed_func::<_, ()>(&self.store, name) else { return };
        function.call(&mut self.store, arguments).unwrap();
    }

    fn ask(&mut self, name: &str, arguments: impl WasmParams) -> i32 {
        let Ok(function) = self.instance.get_typed_func::<_, i32>(&self.store, name) else { return 1 };
        function.call(&mut self.store, arguments).unwrap()
    }

    /// One request that is answered with a body and, if it has any, trailers.
    fn request(&mut self, id: i32) {
        let body = i32::try_from(self.store.data().body.len()).unwrap();
        let trailers = self.store.data().maps.contains_key(&RESPONSE_TRAILERS);
        self.call("proxy_on_context_create", (id, ROOT));
        self.ask("proxy_on_request_headers", (id, 9, 1));
        self.ask("proxy_on_response_headers", (id, 5, 0));
        self.ask("proxy_on_response_body", (id, body, i32::from(!trailers)));
        if trailers {
            self.ask("proxy_on_response_trailers", (id, 2));
        }
        self.call("proxy_on_log", id);
        self.ask("proxy_on_done", id);
        self.call("proxy_on_delete", id);
    }

    fn cost(&mut self) -> Cost {
        for id in 0..WARM_UP {
            self.request(2 + id);
        }
        self.store.data_mut().take_calls();
        let before = self.store.get_fuel().unwrap();
        self.request(2 + WARM_UP);
        let fuel = before - self.store.get_fuel().unwrap();
        Cost { calls: self.store.data_mut().take_calls(), fuel }
    }
}

/// A kind of request, and the configuration that it meets.
struct Case {
    name: &'static str,
    sections: Value,
    path: &'static str,
    request: &'static [(&'static str, &'static str)],
    response: &'static [(&'static str, &'static str)],
    is_grpc: bool,
}

const TRACKED: &[(&str, &str)] =
    &[("x-session-track", "true"), ("x-session-operation", "change_password"), ("x-session-context", "ZGV2aWNlPTE=")];
const JSON: &[(&str, &str)] = &[("content-type", "application/json"), ("content-length", "42")];

impl Case {
    fn new(name: &'static str, path: &'static str) -> Self {
        Self { name, sections: json!({}), path, request: &[], response: &[], is_grpc: false }
    }

    /// A rule in the place of the default ones.
    fn rule(mut self, rule: Value) -> Self {
        self.sections["rules"] = json!([rule]);
        self
    }

    fn vm(&self) -> Vm {
        let mut vm = Vm::start(&self.sections);
        let host = vm.store.data_mut();
        let content_type = if self.is_grpc { "application/grpc" } else { "text/plain" };
        let usual = [
            (":method", "GET"),
            (":path", self.path),
            (":authority", "api.example.com"),
            (":scheme", "http"),
            ("content-type", content_type),
            ("user-agent", "curl/8.5.0"),
            ("accept", "*/*"),
            ("cookie", "theme=dark; session=s3cret"),
            ("x-request-id", "5f0c1f8a-6d0e-4c58-9a3d-2b1f0e9d8c7b"),
        ];
        host.maps.insert(REQUEST_HEADERS, owned(&[&usual, self.request]));
        let answer = [(":status", "200"), ("server", "envoy"), ("date", "Sun, 22 Nov 2026 12:00:00 GMT")];
        host.maps.insert(RESPONSE_HEADERS, owned(&[&answer, self.response]));
        if self.is_grpc {
            host.maps.insert(RESPONSE_TRAILERS, owned(&[&[("grpc-status", "0")]]));
        }
        host.body = br#"{"UserId":9007199254740993,"Roles":["1"]}"#.to_vec();
        for (name, value) in [
            ("filter_state\0audit.direct_peer", "10.1.2.3"),
            ("source\0address", "10.1.2.3:4567"),
            ("request\0protocol", "HTTP/1.1"),
        ] {
            host.properties.insert(name.to_owned(), value.as_bytes().to_vec());
        }
        vm
    }
}

fn owned(lists: &[&[(&str, &str)]]) -> Vec<(String, Vec<u8>)> {
    lists.concat().into_iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect()
}

/// A kind of request and the calls that it makes.
type Budget = (Case, Value);

/// What every record needs: request headers, two times, the status, protocol and address.
fn record(more: &Value) -> Value {
    let mut calls =
        json!({"clock_time_get": 2, "get_header_map_pairs": 1, "get_header_map_value": 1, "get_property": 2});
    calls.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    calls
}

/// A rule that asks for nothing but what it is given.
fn any(more: &Value) -> Value {
    let mut rule = json!({"name": "any", "identity": {"user_id": []}});
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rule
}

/// With the rules that hold when none are configured.
fn default_rules() -> Vec<Budget> {
    let body = || record(&json!({"get_header_map_pairs": 2, "get_buffer_bytes": 1}));
    let hmac = json!({"session": {"hmac_key": KEY, "hmac_key_id": "k1"}});
    let tracked = |name| Case { request: TRACKED, ..Case::new(name, "/demo.Accounts/ChangePassword") };
    // Its peer is judged, two headers are removed, and the user is looked for in a response header.
    let of_tracked = json!({"get_property": 3, "remove_header_map_value": 2, "get_header_map_value": 2});
    // Its status and message are in the trailers.
    let of_unary = json!({"get_property": 3, "remove_header_map_value": 2, "get_header_map_value": 4});
    vec![
        (Case::new("untracked", "/other"), json!({"get_header_map_pairs": 1})),
        (Case { response: JSON, ..Case::new("check", "/check") }, body()),
        (Case { response: JSON, sections: hmac.clone(), ..Case::new("check, hmac", "/check") }, body()),
        (tracked("tracked"), record(&of_tracked)),
        (Case { is_grpc: true, ..tracked("tracked unary") }, record(&of_unary)),
        (Case { is_grpc: true, sections: hmac, ..tracked("tracked unary, hmac") }, record(&of_unary)),
    ]
}

/// What a rule asks for, one thing at a time, over a rule that asks for nothing.
fn single_keys() -> Vec<Budget> {
    let of = |name, more: &Value| Case::new(name, "/any?q=1").rule(any(more));
    let process = json!({"scope": "process"});
    let correlated = of("correlate, process", &json!({"correlate": true}));
    let shared =
        Case { sections: json!({"correlation": process, "rules": correlated.sections["rules"]}), ..correlated };
    let captures = json!({"level": "request", "capture": {"query": ["q"], "request_headers": ["accept"]}});
    let of_response = json!({"level": "request", "capture": {"response_headers": ["server"]}});
    let identity = |source: &Value| json!({"identity": {"user_id": [source]}});
    let metadata = identity(&json!({"metadata": "ns:key"}));
    let absent = identity(&json!({"header": "x-user-id"}));
    let edge = json!({"set_tracking": {"operation": "o", "context": {"device": {"header": "accept"}}}});
    vec![
        (of("plain record", &json!({})), record(&json!({}))),
        (of("identity, absent header", &absent), record(&json!({}))),
        (of("identity, metadata", &metadata), record(&json!({"get_property": 3}))),
        (of("capture of the request", &captures), record(&json!({}))),
        (of("capture of the response", &of_response), record(&json!({"get_header_map_pairs": 2}))),
        (of("correlate, worker", &json!({"correlate": true})), record(&json!({"replace_header_map_value": 2}))),
        (shared, record(&json!({"replace_header_map_value": 2, "get_shared_data": 1, "set_shared_data": 1}))),
        (of("session end", &json!({"session": "end"})), record(&json!({}))),
        (
            of("session start", &json!({"session": "start"})),
            record(&json!({"get_header_map_pairs": 2, "random_get": 1, "replace_header_map_value": 1})),
        ),
        (of("set_tracking", &edge), json!({"get_header_map_pairs": 1, "replace_header_map_value": 3})),
    ]
}

#[track_caller]
fn check(budgets: Vec<Budget>) {
    for (case, expected) in budgets {
        let cost = case.vm().cost();
        let (name, calls) = (case.name, json!(cost.calls));
        println!("{name:24} {:2} host calls, fuel {:6}: {calls}", cost.calls.values().sum::<u32>(), cost.fuel);
        assert_eq!(calls, expected, "{name}");
    }
}

#[test]
fn the_default_rules_make_the_calls_that_they_need() {
    check(default_rules());
}

#[test]
fn a_key_costs_only_the_calls_that_it_needs() {
    check(single_keys());
}
