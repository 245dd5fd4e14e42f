//! Independent programs accept the filter's output, and the demo works as shipped.

use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::audit::sink::Sink;
use testkit::envoy::bootstrap::Bootstrap;
use testkit::{Mesh, eventually, tools};

/// Varied records: HTTP and gRPC, all outcomes, a hashed context, a trace, non-ASCII text.
async fn varied_traffic(mesh: &Mesh) {
    let trace = (
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    );
    mesh.get(
        "/check",
        &[trace, ("user-agent", "t\u{f6}ster \"quoted\" \\ \u{1f600}")],
    )
    .await;

    mesh.get("/missing", &[("x-demo-status", "404")]).await;
    mesh.tracked_call("unary").await.unwrap();
    mesh.tracked_call("status:7:bad t%C3%B6k%C3%A9n")
        .await
        .unwrap();

    let _ = mesh.tracked_call("reset").await;
    mesh.get(
        "/long",
        &[
            ("x-session-track", "true"),
            ("x-session-context", &"x".repeat(9000)),
        ],
    )
    .await;
}

fn everything() -> Value {
    let rule = json!({"name": "all", "tags": {"retention": "7y"},
        "extra_fields": ["upstream_cluster", "peer_uri_san", "response_flags", "response_code_details"]});
    json!({"batch": {"max_delay": "50ms"}, "rules": [rule]})
}

#[tokio::test]
async fn the_strict_protobuf_decoder_understands_every_batch() {
    for format in ["otlp_protobuf", "otlp_json"] {
        check_strictly(format).await;
    }
}

async fn check_strictly(format: &str) {
    let mut plugin = everything();
    plugin["audit_cluster"] = json!({"format": format});
    let mesh = Mesh::with_plugin(&plugin).await;
    varied_traffic(&mesh).await;
    mesh.sink.wait_for(6).await;

    let mut decoded = Vec::new();
    for attempt in mesh.sink.attempts() {
        decoded.extend(strictly_decoded(&attempt.body));
    }

    let of = |event: &str| {
        decoded
            .iter()
            .filter(|record| record["event"] == event)
            .count()
    };
    assert_eq!((of("audit.http"), of("audit.rpc")), (3, 3), "{decoded:#?}");

    let check = decoded
        .iter()
        .find(|record| record["attributes"]["url.path"] == "/check")
        .unwrap();
    assert_eq!(
        check["attributes"]["http.response.status_code"], 200,
        "an integer"
    );

    assert!(
        check["attributes"]["audit.duration_ms"].is_f64(),
        "a double"
    );
    assert_eq!(
        check["attributes"]["user_agent.original"],
        "t\u{f6}ster \"quoted\" \\ \u{1f600}"
    );
    assert_eq!(check["resource"]["service.name"], "demo");
}

fn strictly_decoded(body: &[u8]) -> Vec<Value> {
    let mut process = Command::new("python3")
        .arg(tools::root().join("tests/strict_decode.py"))
        .env("PYTHONPATH", tools::python_packages())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(body).unwrap();

    let output = process.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "the decoder refuses {}",
        String::from_utf8_lossy(body)
    );

    serde_json::from_slice(&output.stdout).unwrap()
}

/// A real OTLP collector; killed when dropped.
struct Rotel {
    process: Child,
    directory: TempDir,
}

impl Rotel {
    async fn start(addr: SocketAddr, grpc: SocketAddr) -> Self {
        let directory = TempDir::with_prefix("audit-filter-rotel-").unwrap();
        let log = File::create(directory.path().join("log")).unwrap();

        let process = Command::new(tools::python_packages().join("rotel/rotel-agent"))
            .args([
                "start",
                "--exporter",
                "blackhole",
                "--debug-log",
                "logs",
                "--debug-log-verbosity",
                "detailed",
            ])
            .args([
                "--otlp-http-endpoint",
                &addr.to_string(),
                "--otlp-grpc-endpoint",
                &grpc.to_string(),
            ])
            .current_dir(directory.path())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();

        let rotel = Self { process, directory };
        eventually("Rotel listens", || TcpStream::connect(addr).ok()).await;
        rotel
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- Rotel's log\n{}", self.log());
        }
    }
}

#[tokio::test]
async fn a_real_otlp_collector_takes_every_batch() {
    // Both ports stay bound, so that only Rotel can listen on them.
    let (sink, grpc) = (Sink::start_down(), Sink::start_down());
    let rotel = Rotel::start(sink.addr(), grpc.addr()).await;
    let bootstrap = Bootstrap::shipped().with_plugin(&everything());
    let mesh = Mesh::with_bootstrap(bootstrap, sink, 1).await;
    varied_traffic(&mesh).await;

    let stats = mesh.stats_when("6 exchanges and 2 announcements acknowledged", |stats| {
        stats["records.acknowledged"] >= 8 && stats["buffer.records"] == 0
    });
    let stats = stats.await;
    Mesh::assert_conserved(&stats);
    assert_eq!(
        (stats["records.rejected"], stats["batches.failed"]),
        (0, 0),
        "{stats:#?}"
    );

    for expected in [
        "audit.rpc",
        "PERMISSION_DENIED",
        "audit.stream.start",
        "0af7651916cd43dd8448eb211c80319c",
    ] {
        eventually(format!("Rotel prints {expected}"), || {
            rotel.log().contains(expected).then_some(())
        })
        .await;
    }
}

/// The complete product: filter, collector on SQLite, demo upstream. The demo checks its results
/// itself.
#[test]
fn the_demo_runs_and_finds_what_it_expects() {
    let output = Command::new("bash")
        .arg(tools::root().join("envoy/demo.sh"))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{printed}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );

    for expected in [
        "check",
        "change_password",
        "PERMISSION_DENIED",
        "audit_filter.records.acknowledged",
    ] {
        assert!(printed.contains(expected), "{expected} is not in {printed}");
    }
}
