//! Names in documents, rules and dashboards are those of a real scrape.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use regex::Regex;
use testkit::tools;

use crate::dashboards;
use crate::documents::{rules, text};
use crate::expressions::{Selector, selectors};
use crate::scrape::{Metric, metrics, scrape};

/// Metrics of others, with the labels that rules and dashboards read.
const FOREIGN: [(&str, &[&str]); 3] = [
    // Of Prometheus.
    ("up", &["job", "instance"]),
    ("ALERTS", &["alertname", "alertstate", "severity"]),
    // https://github.com/istio/istio, pkg/xds/monitoring.go and pkg/model/xds.go.
    ("pilot_total_xds_rejects", &["type"]),
];
/// Labels that Prometheus adds to each series of a target, and those of the variables.
const OF_TARGETS: [&str; 4] = ["job", "instance", "namespace", "pod"];

/// Name and type of each row of a table whose second and third column have them.
fn rows(document: &str, prefix: &str) -> BTreeMap<String, String> {
    let rows = document.lines().filter_map(|line| {
        let cells: Vec<_> = line
            .split(" | ")
            .map(|cell| cell.trim_matches(['|', ' ', '`']))
            .collect();
        let [_, name, kind, _] = cells.as_slice() else {
            return None;
        };
        name.starts_with(prefix)
            .then(|| ((*name).to_owned(), (*kind).to_owned()))
    });
    rows.collect()
}

#[tokio::test]
async fn the_document_lists_the_statistics_of_the_filter() {
    let scraped = metrics(&scrape().await.envoy);
    let scraped: BTreeMap<_, _> = scraped
        .into_iter()
        .filter(|(name, _)| name.contains("audit_filter"))
        .collect();
    let labelled: Vec<_> = scraped
        .iter()
        .filter(|(_, metric)| metric.kind != "histogram" && !metric.labels.is_empty())
        .collect();
    assert!(labelled.is_empty(), "{labelled:?}");

    let kinds: BTreeMap<_, _> = scraped
        .into_iter()
        .map(|(name, metric)| (name, metric.kind))
        .collect();
    assert_eq!(rows(&text("docs/operations.md"), "audit_filter_"), kinds);
}

#[tokio::test]
async fn the_document_lists_the_metrics_of_the_collector() {
    let document = text("docs/operations.md");
    let section = document.split_once("\n### Metrics\n").unwrap().1;
    let section = section.split_once("\n### ").unwrap().0;
    let mut listed = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches(['|', ' ']).split(" | ").collect();
        let names: Vec<_> = cells[0]
            .split("`, `")
            .map(|name| name.trim_matches('`'))
            .collect();
        let kinds: Vec<_> = cells[1].split(", ").collect();
        for (index, name) in names.iter().enumerate() {
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            let labels: BTreeSet<_> = labels
                .trim_end_matches('}')
                .split(',')
                .filter(|label| !label.is_empty())
                .map(str::to_owned)
                .collect();
            let kind = kinds.get(index).unwrap_or(&kinds[0]);
            listed.insert(
                format!("audit_collector_{name}"),
                ((*kind).to_owned(), labels),
            );
        }
    }

    let scraped = metrics(&scrape().await.collector).into_iter().map(
        |(name, Metric { kind, mut labels })| {
            labels.remove("le");
            (name, (kind, labels))
        },
    );
    assert_eq!(listed, scraped.collect());
}

#[tokio::test]
async fn promtool_objects_to_names_and_help_alone() {
    let mut child = Command::new(tools::last_line("collector/tests/support/get-promtool.sh"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = &scrape().await.envoy;
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let objections =
        String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    let of_filter: BTreeSet<_> = objections
        .lines()
        .filter(|line| line.starts_with("audit_filter_"))
        .map(str::to_owned)
        .collect();

    let expected = metrics(text)
        .into_iter()
        .filter(|(name, _)| name.starts_with("audit_filter_"))
        .flat_map(|(name, metric)| {
            let suffix = (metric.kind == "counter")
                .then(|| format!("{name} counter metrics should have \"_total\" suffix"));
            let unit = name
                .ends_with("_ms")
                .then(|| format!("{name} metric names should not contain abbreviated units"));
            suffix
                .into_iter()
                .chain(unit)
                .chain([format!("{name} no help text")])
        });
    assert_eq!(of_filter, expected.collect(), "{objections}");
}

/// Fails unless each metric of an expression is scraped, recorded by a rule, or of others.
fn assert_known(place: &str, expression: &str, known: &BTreeMap<String, BTreeSet<String>>) {
    let found = selectors(expression);
    assert!(!found.is_empty(), "{place}: {expression}");
    for Selector { name, labels } in found {
        let pattern = Regex::new(&format!("^(?:{name})$")).unwrap();
        let metrics = known.iter().filter(|(name, _)| pattern.is_match(name));
        let metrics: Vec<_> = metrics.map(|(_, labels)| labels).collect();
        assert!(!metrics.is_empty(), "{place}: no scrape has {name}");
        for label in labels {
            let has_label = |labels: &&BTreeSet<String>| labels.contains(&label);
            let is_known = metrics.iter().all(has_label) || OF_TARGETS.contains(&label.as_str());
            assert!(is_known, "{place}: {name} has no label {label}");
        }
    }
}

#[tokio::test]
async fn each_metric_of_rules_and_dashboards_exists() {
    let mut known = BTreeMap::new();
    for (name, Metric { kind, labels }) in scrape().await.metrics() {
        if kind == "histogram" {
            for suffix in ["bucket", "sum", "count"] {
                known.insert(format!("{name}_{suffix}"), labels.clone());
            }
        }
        known.insert(name, labels);
    }
    let foreign = FOREIGN.map(|(name, labels)| {
        (
            name.to_owned(),
            labels.iter().map(|label| (*label).to_owned()).collect(),
        )
    });
    known.extend(foreign);
    let records = rules().into_iter().filter_map(|rule| rule.record);
    known.extend(records.map(|name| (name, BTreeSet::from(["reason".to_owned()]))));

    for rule in rules() {
        let place = rule.alert.or(rule.record).unwrap();
        assert_known(&place, &rule.expression, &known);
    }
    for (place, query) in dashboards::queries() {
        assert_known(&place, &query, &known);
    }
}
