//! What a real Envoy with the filter and a real collector show.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;
use testkit::client::{CallOptions, http_get};
use testkit::collector::{Program, binary, flags, post};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::ecds::Extension;
use testkit::envoy::process::Envoy;
use testkit::envoy::xds::Resources;
use testkit::eventually;
use testkit::headers::Headers;
use testkit::upstream::Upstream;
use tokio::sync::OnceCell;

/// The texts of a scrape.
pub struct Scrape {
    pub envoy: String,
    pub collector: String,
}

/// A metric with the labels of its series.
#[derive(Debug, Default)]
pub struct Metric {
    /// As in `# TYPE`.
    pub kind: String,
    pub labels: BTreeSet<String>,
}

/// One scrape for all tests.
pub async fn scrape() -> &'static Scrape {
    static SCRAPE: OnceCell<Scrape> = OnceCell::const_new();
    SCRAPE.get_or_init(Scrape::take).await
}

impl Scrape {
    /// One exchange was recorded, stored and signed, and one batch refused.
    async fn take() -> Self {
        let directory = TempDir::new().unwrap();
        let database = directory.path().join("audit.db");
        let mut command = Command::new(binary());
        let flags = flags(&format!("sqlite://{}", database.display()));
        command
            .args(flags)
            .args(["--checkpoint-records", "1", "--retain", "90d"]);
        let collector = Program::start_by(&mut command);
        let upstream = Upstream::start().await.unwrap();

        let mut bootstrap =
            Bootstrap::shipped().with_plugin(&json!({"batch": {"max_delay": "50ms"}}));
        bootstrap.point("demo_http", upstream.http_addr());
        bootstrap.point("demo_grpc", upstream.grpc_addr());
        bootstrap.point("audit", collector.address);
        // So that there are statistics of each way by which a filter is delivered.
        let listeners = Resources::listeners();
        bootstrap.discover("lds_config", &listeners);
        let extension = Extension::new(bootstrap.clone());
        let envoy = Envoy::start(&extension.dynamic(bootstrap), 1).await;

        let listener = envoy.listener("http").await;
        let options = CallOptions::default();
        let answer = http_get(listener, "/check", Headers::new(), &options);
        assert_eq!(answer.await.unwrap().status, 200);
        let refused = post("content-type: text/plain", b"x");
        collector.client().exchange(&refused).unwrap();

        let mut client = collector.client();
        let text = eventually("the collector has stored and signed records", || {
            let text = String::from_utf8(client.get("/metrics").unwrap().body).unwrap();
            text.contains("audit_collector_last_checkpoint_has_root 1\n")
                .then_some(text)
        });
        Self {
            collector: text.await,
            envoy: flushed(&envoy).await,
        }
    }

    /// All metrics by their names, those of histograms without `_bucket`, `_sum` and `_count`.
    pub fn metrics(&self) -> BTreeMap<String, Metric> {
        let mut metrics = metrics(&self.envoy);
        metrics.extend(self::metrics(&self.collector));
        metrics
    }
}

/// Envoy's metrics, once it has merged its histograms.
async fn flushed(envoy: &Envoy) -> String {
    for _ in 0..600 {
        let text = envoy.admin_get("/stats/prometheus").await;
        if text.contains("audit_filter_callout_ms_count{} ")
            && !text.contains("callout_ms_count{} 0\n")
        {
            return text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("Envoy shows no histogram of callouts");
}

/// The metrics of a text.
pub fn metrics(text: &str) -> BTreeMap<String, Metric> {
    let mut metrics = BTreeMap::<String, Metric>::new();
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').unwrap();
            metrics.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else if !line.starts_with('#') && !line.is_empty() {
            let (name, labels) = series(line);
            let family = family(name, &metrics);
            metrics.entry(family).or_default().labels.extend(labels);
        }
    }
    metrics
}

/// Name and labels of a series.
fn series(line: &str) -> (&str, Vec<String>) {
    let name = line.split(['{', ' ']).next().unwrap();
    let labels = line
        .split_once('{')
        .and_then(|(_, rest)| rest.rsplit_once('}'));
    let quoted = labels
        .map_or("", |(labels, _)| labels)
        .split('"')
        .step_by(2);
    let names = quoted.map(|part| part.trim_matches([',', '=']).to_owned());
    (name, names.filter(|name| !name.is_empty()).collect())
}

fn family(name: &str, declared: &BTreeMap<String, Metric>) -> String {
    let base = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix));
    let is_histogram = |base: &&str| {
        declared
            .get(*base)
            .is_some_and(|one| one.kind == "histogram")
    };
    base.filter(is_histogram).unwrap_or(name).to_owned()
}
