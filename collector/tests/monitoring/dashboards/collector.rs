//! The collector, and the completeness of its ledger.

use super::model::Kind::{Lines, Number, NumberOfFaults};
use super::model::{Dashboard, Panel};

pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "audit-collector",
        title: "Audit collector and completeness",
        description: "What the collectors store, what is missing in the ledger, and whether it is signed. \
            Collectors of one ledger show the same gauges of it, so panels have their maximum.",
        instances: "audit_collector_build_info",
        panels: PANELS,
    }
}

const PANELS: &[Panel] = &[
    Panel {
        title: "Missing numbers",
        description: "Records that existed and did not arrive, and that no loss explains. /api/streams?status=gap has them.",
        unit: "none",
        kind: NumberOfFaults,
        queries: &[("max(audit_collector_missing_numbers{@})", "numbers")],
    },
    Panel {
        title: "Streams with gaps",
        description: "Streams of which numbers are missing without an explanation.",
        unit: "none",
        kind: NumberOfFaults,
        queries: &[("max(audit_collector_streams_with_gaps{@})", "streams")],
    },
    Panel {
        title: "Explained losses",
        description: "Records that are lost, as the filters have reported in audit.loss.",
        unit: "none",
        kind: Number,
        queries: &[("max(audit_collector_explained_losses{@})", "records")],
    },
    Panel {
        title: "Conflicts",
        description: "Contents that contradict a stored record. /api/conflicts has both.",
        unit: "none",
        kind: NumberOfFaults,
        queries: &[("max(audit_collector_conflicts{@})", "contents")],
    },
    Panel {
        title: "Age of the last checkpoint",
        description: "Time since the end of the chain was last signed. It grows while no record arrives.",
        unit: "s",
        kind: Number,
        queries: &[(
            "time() - max(audit_collector_last_checkpoint_timestamp_seconds{@})",
            "age",
        )],
    },
    Panel {
        title: "Checkpoints without a root",
        description: "1 if rows are missing without a cut, or the tree was changed: verify the ledger.",
        unit: "none",
        kind: NumberOfFaults,
        queries: &[(
            "1 - min(audit_collector_last_checkpoint_has_root{@})",
            "faults",
        )],
    },
    Panel {
        title: "Completeness",
        description: "Missing numbers; open ones are missing for less than --grace, and may still arrive.",
        unit: "none",
        kind: Lines,
        queries: &[
            ("max(audit_collector_missing_numbers{@})", "missing"),
            ("max(audit_collector_open_numbers{@})", "open"),
        ],
    },
    Panel {
        title: "Silent streams",
        description: "Streams without an end and without a record for too long: killed proxies, or a network that is down.",
        unit: "none",
        kind: Lines,
        queries: &[("max(audit_collector_silent_streams{@})", "streams")],
    },
    Panel {
        title: "Unsigned and unviewed records",
        description: "Records behind the last checkpoint, and records that sessions, usage and streams do not include yet.",
        unit: "none",
        kind: Lines,
        queries: &[
            ("max(audit_collector_unsigned_records{@})", "unsigned"),
            (
                "max(audit_collector_views_lag_records{@})",
                "not in the views",
            ),
        ],
    },
    Panel {
        title: "Records",
        description: "Received records are stored, or were stored before. Conflicts contradict what is stored.",
        unit: "cps",
        kind: Lines,
        queries: &[
            (
                "sum(rate(audit_collector_records_received_total{@}[$__rate_interval]))",
                "received",
            ),
            (
                "sum(rate(audit_collector_records_stored_total{@}[$__rate_interval]))",
                "stored",
            ),
            (
                "sum(rate(audit_collector_records_duplicate_total{@}[$__rate_interval]))",
                "duplicate",
            ),
            (
                "sum(rate(audit_collector_records_conflict_total{@}[$__rate_interval]))",
                "conflict",
            ),
        ],
    },
    Panel {
        title: "Requests by status",
        description: "Requests to store records, by the status of the answer.",
        unit: "reqps",
        kind: Lines,
        queries: &[(
            "sum by (status) (rate(audit_collector_requests_total{@}[$__rate_interval]))",
            "{{status}}",
        )],
    },
    Panel {
        title: "Refusals by reason",
        description: "Requests of any kind that were refused. store_busy and store_failed: nothing is stored.",
        unit: "reqps",
        kind: Lines,
        queries: &[(
            "sum by (reason) (rate(audit_collector_refused_total{@}[$__rate_interval])) > 0",
            "{{reason}}",
        )],
    },
    Panel {
        title: "Time to store",
        description: "From the headers of a request to the answer, which comes after the commit.",
        unit: "s",
        kind: Lines,
        queries: &[
            (
                "histogram_quantile(0.5, sum by (le) (rate(audit_collector_request_duration_seconds_bucket{@}[$__rate_interval])))",
                "median",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(audit_collector_request_duration_seconds_bucket{@}[$__rate_interval])))",
                "99 %",
            ),
        ],
    },
    Panel {
        title: "Requests in flight",
        description: "Requests that hold one of the places of --max-requests.",
        unit: "none",
        kind: Lines,
        queries: &[("audit_collector_requests_in_flight{@}", "{{instance}}")],
    },
    Panel {
        title: "Bytes in flight",
        description: "What these requests hold of --max-inflight-bytes.",
        unit: "bytes",
        kind: Lines,
        queries: &[("audit_collector_in_flight_bytes{@}", "{{instance}}")],
    },
    Panel {
        title: "Bytes received",
        description: "Bodies of requests as they were sent, so compressed ones count less.",
        unit: "Bps",
        kind: Lines,
        queries: &[(
            "sum(rate(audit_collector_body_bytes_total{@}[$__rate_interval]))",
            "bytes",
        )],
    },
    Panel {
        title: "Connections",
        description: "Open connections, and TLS handshakes that failed: a certificate has expired or is missing.",
        unit: "none",
        kind: Lines,
        queries: &[
            ("sum(audit_collector_connections{@})", "open"),
            (
                "sum(increase(audit_collector_tls_handshake_failures_total{@}[$__rate_interval]))",
                "failed handshakes",
            ),
        ],
    },
    Panel {
        title: "Background tasks",
        description: "1 while a task fails: views, checkpoints or retention. Records are stored meanwhile.",
        unit: "none",
        kind: Lines,
        queries: &[(
            "max by (task) (audit_collector_background_failing{@})",
            "{{task}}",
        )],
    },
    Panel {
        title: "Records deleted",
        description: "Records that retention has deleted, each run with a signed cut in its place.",
        unit: "none",
        kind: Lines,
        queries: &[(
            "sum(increase(audit_collector_records_deleted_total{@}[$__rate_interval]))",
            "records",
        )],
    },
    Panel {
        title: "Versions",
        description: "Collectors by the version of the program.",
        unit: "none",
        kind: Lines,
        queries: &[(
            "count by (version) (audit_collector_build_info{@})",
            "{{version}}",
        )],
    },
];
