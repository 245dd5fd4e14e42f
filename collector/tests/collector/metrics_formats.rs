//! `GET /metrics` in each format, as read by parsers that are not ours: `promtool` of Prometheus and
//! the strict parser of its client for Python.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use axum::body::Body;
use axum::http::Request;
use testkit::tools;

use crate::common::{Answer, Collector, record};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Fails unless stdin is OpenMetrics; prints the name and the type of each family.
const READ_OPEN_METRICS: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    print(family.name, family.type)
";

async fn metrics(collector: &Collector, accept: &str) -> Answer {
    let request = Request::get("/metrics").header("accept", accept);
    let answer = collector.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200);
    answer
}

/// A collector that has stored and refused something, so that every metric has a value.
async fn busy() -> Collector {
    let collector = Collector::start().await;
    collector.keep(&[record("aud_1", &[])]).await;
    collector.post("oops").await;
    collector
}

fn read_by(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[tokio::test]
async fn promtool_finds_nothing_to_criticise() {
    let collector = busy().await;
    for accept in ["*/*", "text/plain", "text/html, */*;q=0.1"] {
        let answer = metrics(&collector, accept).await;
        assert_eq!(answer.headers["content-type"], TEXT, "{accept}");

        let output = read_by(
            Command::new(tools::last_line("collector/tests/support/get-promtool.sh"))
                .args(["check", "metrics"]),
            &answer.bytes,
        );
        let found = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && found.is_empty(), "{found}");
    }
}

#[tokio::test]
async fn open_metrics_is_read_by_a_strict_parser() {
    let collector = busy().await;
    let answer = metrics(
        &collector,
        "application/openmetrics-text;version=1.0.0,*/*;q=0.1",
    )
    .await;
    assert_eq!(answer.headers["content-type"], OPEN_METRICS);

    let mut python = Command::new("python3");
    python
        .env("PYTHONPATH", tools::python_packages())
        .args(["-c", READ_OPEN_METRICS]);
    let output = read_by(&mut python, &answer.bytes);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{errors}");

    let families = String::from_utf8(output.stdout).unwrap();
    for family in [
        "audit_collector_build info",
        "audit_collector_refused counter",
        "audit_collector_request_duration_seconds histogram",
        "audit_collector_records_deleted counter",
        "audit_collector_views_lag_records gauge",
    ] {
        assert!(
            families.lines().any(|line| line == family),
            "{family}\n{families}"
        );
    }
}
