//! The filters of a fleet of proxies.

use super::model::Kind::{Lines, Number, NumberOfFaults};
use super::model::{Dashboard, Panel};

pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "audit-filter",
        title: "Audit filter",
        description: "What the audit filters of a fleet of proxies record, deliver and lose.",
        instances: "audit_filter_records_captured",
        panels: PANELS,
    }
}

const PANELS: &[Panel] = &[
    Panel {
        title: "Proxies with the filter",
        description: "Proxies that show statistics of the filter.",
        unit: "none",
        kind: Number,
        queries: &[(
            "count(audit_filter_records_captured{@}) or vector(0)",
            "proxies",
        )],
    },
    Panel {
        title: "Proxies without it",
        description: "Proxies of the job audit-proxy that answer, and whose filter was not loaded.",
        unit: "none",
        kind: NumberOfFaults,
        queries: &[(
            r#"count(up{job="audit-proxy",@} == 1 unless on (job, instance) audit_filter_records_captured) or vector(0)"#,
            "proxies",
        )],
    },
    Panel {
        title: "Records lost",
        description: "In the range of time. Each was reported in an audit.loss.",
        unit: "none",
        kind: NumberOfFaults,
        queries: &[(
            "sum(increase(audit_filter_records_dropped_abandoned{@}[$__range])) \
                + sum(increase(audit_filter_records_dropped_buffer_full{@}[$__range])) \
                + sum(increase(audit_filter_records_dropped_max_age{@}[$__range])) \
                + sum(increase(audit_filter_records_dropped_max_attempts{@}[$__range])) \
                + sum(increase(audit_filter_records_dropped_too_large{@}[$__range])) \
                + sum(increase(audit_filter_records_dropped_vm_crash{@}[$__range])) \
                + sum(increase(audit_filter_records_rejected{@}[$__range]))",
            "records",
        )],
    },
    Panel {
        title: "Records held",
        description: "Records that wait for an acknowledgement, in all workers of all proxies.",
        unit: "none",
        kind: Number,
        queries: &[("sum(audit_filter_buffer_records{@})", "records")],
    },
    Panel {
        title: "Requests refused",
        description: "In the range of time: requests that were answered 503 by require_audit.",
        unit: "none",
        kind: NumberOfFaults,
        queries: &[(
            "sum(increase(audit_filter_requests_refused{@}[$__range]))",
            "requests",
        )],
    },
    Panel {
        title: "Alerts",
        description: "Alerts of these rules that fire, of proxies and collectors.",
        unit: "none",
        kind: NumberOfFaults,
        queries: &[(
            r#"count(ALERTS{alertstate="firing",alertname=~"Audit.+"}) or vector(0)"#,
            "alerts",
        )],
    },
    Panel {
        title: "Records",
        description: "Records that got a number, and those that the audit cluster acknowledged. The lines meet while delivery works.",
        unit: "cps",
        kind: Lines,
        queries: &[
            (
                "sum(rate(audit_filter_records_captured{@}[$__rate_interval]))",
                "captured",
            ),
            (
                "sum(rate(audit_filter_records_acknowledged{@}[$__rate_interval]))",
                "acknowledged",
            ),
        ],
    },
    Panel {
        title: "Losses by reason",
        description: "Records that were dropped or rejected. Anything above 0 needs a look at the reason.",
        unit: "none",
        kind: Lines,
        queries: &[
            (
                "sum(increase(audit_filter_records_dropped_buffer_full{@}[$__rate_interval]))",
                "buffer_full",
            ),
            (
                "sum(increase(audit_filter_records_dropped_too_large{@}[$__rate_interval]))",
                "too_large",
            ),
            (
                "sum(increase(audit_filter_records_dropped_max_attempts{@}[$__rate_interval]))",
                "max_attempts",
            ),
            (
                "sum(increase(audit_filter_records_dropped_max_age{@}[$__rate_interval]))",
                "max_age",
            ),
            (
                "sum(increase(audit_filter_records_dropped_vm_crash{@}[$__rate_interval]))",
                "vm_crash",
            ),
            (
                "sum(increase(audit_filter_records_dropped_abandoned{@}[$__rate_interval]))",
                "abandoned",
            ),
            (
                "sum(increase(audit_filter_records_rejected{@}[$__rate_interval]))",
                "rejected",
            ),
        ],
    },
    Panel {
        title: "Held records by proxy",
        description: "Records without an acknowledgement. One worker holds 13,500 by default (buffer.max_records).",
        unit: "none",
        kind: Lines,
        queries: &[("topk(10, audit_filter_buffer_records{@})", "{{instance}}")],
    },
    Panel {
        title: "Held bytes by proxy",
        description: "Bytes of these records and reservations. One worker holds 12 MiB by default (buffer.max_bytes).",
        unit: "bytes",
        kind: Lines,
        queries: &[("topk(10, audit_filter_buffer_bytes{@})", "{{instance}}")],
    },
    Panel {
        title: "Batches",
        description: "Attempts to deliver. Failed ones are sent again; split ones had a record that the audit cluster refuses.",
        unit: "cps",
        kind: Lines,
        queries: &[
            (
                "sum(rate(audit_filter_batches_dispatched{@}[$__rate_interval]))",
                "dispatched",
            ),
            (
                "sum(rate(audit_filter_batches_acknowledged{@}[$__rate_interval]))",
                "acknowledged",
            ),
            (
                "sum(rate(audit_filter_batches_retried{@}[$__rate_interval]))",
                "retried",
            ),
            (
                "sum(rate(audit_filter_batches_failed{@}[$__rate_interval]))",
                "failed",
            ),
            (
                "sum(rate(audit_filter_batches_split{@}[$__rate_interval]))",
                "split",
            ),
        ],
    },
    Panel {
        title: "Answer of the audit cluster",
        description: "Time from dispatch to answer. The mean is up to 5 % off, since Envoy keeps two digits of each value.",
        unit: "ms",
        kind: Lines,
        queries: &[
            (
                "histogram_quantile(0.5, sum by (le) (rate(audit_filter_callout_ms_bucket{@}[$__rate_interval])))",
                "median",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(audit_filter_callout_ms_bucket{@}[$__rate_interval])))",
                "99 %",
            ),
            (
                "sum(rate(audit_filter_callout_ms_sum{@}[$__rate_interval])) / sum(rate(audit_filter_callout_ms_count{@}[$__rate_interval]))",
                "mean",
            ),
        ],
    },
    Panel {
        title: "Batches in flight by proxy",
        description: "Batches that were sent and have no answer yet.",
        unit: "none",
        kind: Lines,
        queries: &[(
            "topk(10, audit_filter_in_flight_batches{@})",
            "{{instance}}",
        )],
    },
    Panel {
        title: "Requests",
        description: "What Envoy completed, and what the filter has seen. A difference is traffic beside the filter. Istio counts the first only with a proxyStatsMatcher.",
        unit: "reqps",
        kind: Lines,
        queries: &[
            (
                r#"sum(rate(envoy_http_downstream_rq_completed{@,envoy_http_conn_manager_prefix!~"admin|eg-.+"}[$__rate_interval]))"#,
                "completed",
            ),
            (
                "sum(rate(audit_filter_requests_seen{@}[$__rate_interval]))",
                "seen",
            ),
        ],
    },
    Panel {
        title: "Exchanges without a record",
        description: "Excluded by a rule, tracked without a context, or of another protocol than the request claims.",
        unit: "cps",
        kind: Lines,
        queries: &[
            (
                "sum(rate(audit_filter_records_excluded{@}[$__rate_interval]))",
                "excluded",
            ),
            (
                "sum(rate(audit_filter_records_skipped_empty_context{@}[$__rate_interval]))",
                "empty context",
            ),
            (
                "sum(rate(audit_filter_records_ambiguous{@}[$__rate_interval]))",
                "ambiguous",
            ),
        ],
    },
    Panel {
        title: "Headers",
        description: "Control headers that the filter removed, and those from peers that are not trusted.",
        unit: "cps",
        kind: Lines,
        queries: &[
            (
                "sum(rate(audit_filter_headers_stripped{@}[$__rate_interval]))",
                "stripped",
            ),
            (
                "sum(rate(audit_filter_headers_spoofed{@}[$__rate_interval]))",
                "spoofed",
            ),
        ],
    },
    Panel {
        title: "Crashes and refused entries",
        description: "Reloads of VMs after a crash, and entries of the journal that were damaged or forged. Both are 0 in a fleet that is well.",
        unit: "none",
        kind: Lines,
        queries: &[
            (
                r#"sum({__name__=~"envoy_wasm_.*audit.*_vm_reload_(backoff|failure|success)",@})"#,
                "reloads, in all",
            ),
            (
                "sum(increase(audit_filter_journal_refused{@}[$__rate_interval]))",
                "refused entries",
            ),
        ],
    },
];
