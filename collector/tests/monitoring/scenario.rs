//! A fleet that is well, what goes wrong in it, and the alerts that must then fire.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Labels of the first of two proxies.
pub const PROXY: &str = r#"job="audit-proxy",instance="proxy-1""#;
const OTHER_PROXY: &str = r#"job="audit-proxy",instance="proxy-2""#;
/// Labels of the collector.
pub const COLLECTOR: &str = r#"job="audit-collector",instance="collector-1""#;

/// Counters of the filter that stand still while all is well.
pub const QUIET: [&str; 10] = [
    "audit_filter_records_dropped_abandoned",
    "audit_filter_records_dropped_buffer_full",
    "audit_filter_records_dropped_max_age",
    "audit_filter_records_dropped_max_attempts",
    "audit_filter_records_dropped_too_large",
    "audit_filter_records_dropped_vm_crash",
    "audit_filter_records_rejected",
    "audit_filter_headers_spoofed",
    "audit_filter_requests_refused",
    "audit_filter_journal_refused",
];

/// Series with their values, one a minute in the notation of `promtool`, and the alerts that fire.
pub struct Case {
    name: &'static str,
    series: BTreeMap<String, String>,
    expected: Vec<(u32, Vec<&'static str>)>,
}

impl Case {
    /// An hour in which all is well. Some figures are not 0: what was lost long ago is no alert.
    pub fn healthy(name: &'static str) -> Self {
        let mut case = Self {
            name,
            series: BTreeMap::new(),
            expected: Vec::new(),
        };
        for labels in [PROXY, OTHER_PROXY] {
            case = case.with_proxy(labels);
        }
        case.with_collector()
            .set("pilot_total_xds_rejects", r#"type="ecds""#, "0x60")
    }

    fn with_proxy(self, labels: &str) -> Self {
        let requests =
            |prefix: &str| format!(r#"{labels},envoy_http_conn_manager_prefix="{prefix}""#);
        let completed = "envoy_http_downstream_rq_completed";
        QUIET
            .iter()
            .fold(self, |case, name| case.set(name, labels, "0x60"))
            .set("up", labels, "1x60")
            .set("audit_filter_records_captured", labels, "0+10x60")
            .set("audit_filter_records_acknowledged", labels, "0+10x60")
            .set("audit_filter_batches_dispatched", labels, "0+5x60")
            .set("audit_filter_batches_failed", labels, "0x60")
            .set("audit_filter_requests_seen", labels, "0+100x60")
            .set("audit_filter_buffer_records", labels, "2x60")
            .set("audit_filter_buffer_bytes", labels, "2000x60")
            .set(completed, &requests("ingress"), "0+100x60")
            .set(completed, &requests("admin"), "0+50x60")
            .set(completed, &requests("eg-stats-http"), "0+50x60")
    }

    fn with_collector(self) -> Self {
        let gauges = [
            ("up", "1x60"),
            ("audit_collector_missing_numbers", "7x60"),
            ("audit_collector_silent_streams", "3x60"),
            ("audit_collector_conflicts", "1x60"),
            ("audit_collector_views_lag_records", "10x60"),
            ("audit_collector_unsigned_records", "5x60"),
            (
                "audit_collector_last_checkpoint_timestamp_seconds",
                "0+60x60",
            ),
            ("audit_collector_last_checkpoint_has_root", "1x60"),
        ];
        let labelled = [
            (
                "audit_collector_requests_total",
                "status",
                &["200", "400"][..],
            ),
            (
                "audit_collector_refused_total",
                "reason",
                &[
                    "store_busy",
                    "store_failed",
                    "internal",
                    "too_many_requests",
                    "no_memory",
                    "invalid",
                ],
            ),
            (
                "audit_collector_background_failing",
                "task",
                &["views", "checkpoints", "retention"],
            ),
        ];

        let case = gauges.into_iter().fold(self, |case, (name, values)| {
            case.set(name, COLLECTOR, values)
        });
        labelled
            .into_iter()
            .fold(case, |case, (name, label, values)| {
                values.iter().fold(case, |case, value| {
                    case.set(name, &format!(r#"{COLLECTOR},{label}="{value}""#), "0x60")
                })
            })
    }

    /// Gives a series these values, in the place of those that it has.
    pub fn set(mut self, name: &str, labels: &str, values: &str) -> Self {
        self.series
            .insert(format!("{name}{{{labels}}}"), values.to_owned());
        self
    }

    /// Removes a series that the healthy fleet has.
    pub fn without(mut self, name: &str, labels: &str) -> Self {
        let removed = self.series.remove(&format!("{name}{{{labels}}}"));
        assert!(removed.is_some(), "{name}{{{labels}}}");
        self
    }

    /// At this minute this alert fires, and no other.
    pub fn fires(self, minute: u32, alert: &'static str) -> Self {
        self.fire(minute, &[alert])
    }

    /// At these minutes no alert fires.
    pub fn quiet(self, minutes: &[u32]) -> Self {
        minutes
            .iter()
            .fold(self, |case, minute| case.fire(*minute, &[]))
    }

    fn fire(mut self, minute: u32, alerts: &[&'static str]) -> Self {
        self.expected.push((minute, alerts.to_vec()));
        self
    }

    /// Alerts that fire in it.
    pub fn alerts(&self) -> impl Iterator<Item = &'static str> {
        self.expected.iter().flat_map(|(_, alerts)| alerts).copied()
    }

    /// The case as `promtool` reads it.
    pub fn to_promtool(&self) -> Value {
        let series = self.series.iter();
        let series = series.map(|(series, values)| json!({"series": series, "values": values}));
        let expected = self.expected.iter().map(|(minute, alerts)| {
            let samples = alerts
                .iter()
                .map(|alert| json!({"labels": format!("{{alertname={alert:?}}}"), "value": 1}));
            json!({
                "expr": r#"group by (alertname) (ALERTS{alertstate="firing"})"#,
                "eval_time": format!("{minute}m"),
                "exp_samples": samples.collect::<Vec<_>>(),
            })
        });
        json!({
            "name": self.name,
            "interval": "1m",
            "input_series": series.collect::<Vec<_>>(),
            "promql_expr_test": expected.collect::<Vec<_>>(),
        })
    }
}
