//! What goes wrong in the collector.

use crate::scenario::{COLLECTOR, Case};

/// A collector in the place of the first one.
const SUCCESSOR: &str = r#"job="audit-collector",instance="collector-2""#;

pub fn all() -> Vec<Case> {
    let parts = [
        down(),
        missing(),
        conflicts(),
        silent(),
        checkpoints(),
        views(),
        store(),
        database(),
        refusals(),
        tasks(),
    ];
    parts.into_iter().flatten().collect()
}

fn with(name: &'static str, metric: &str, values: &str) -> Case {
    Case::healthy(name).set(metric, COLLECTOR, values)
}

fn down() -> Vec<Case> {
    let name = "a collector that is down";
    vec![
        with(name, "up", "1x10 0x49")
            .quiet(&[11])
            .fires(15, "AuditCollectorDown"),
        with(name, "up", "1x10 0 1x48").quiet(&[11, 12, 13]),
        Case::healthy(name)
            .without("up", COLLECTOR)
            .fires(5, "AuditCollectorDown"),
        with(name, "up", "1x10 0x49")
            .set("up", SUCCESSOR, "1x60")
            .set("audit_collector_views_lag_records", SUCCESSOR, "0x60")
            .quiet(&[15]),
    ]
}

fn missing() -> Vec<Case> {
    const MISSING: &str = "audit_collector_missing_numbers";
    const ALERT: &str = "AuditNumbersMissing";
    let name = "a gap";
    vec![
        with(name, MISSING, "7x20 9x39")
            .quiet(&[20])
            .fires(22, ALERT)
            .fires(60, ALERT),
        // They arrived late, or a loss explains them.
        with(name, MISSING, "7x20 9x10 7x28").quiet(&[35]),
        // Another pod of the same ledger.
        with(name, MISSING, "7x20 stale")
            .set(MISSING, SUCCESSOR, "_x21 7x38")
            .quiet(&[22, 30]),
        with(name, MISSING, "7x20 stale")
            .set(MISSING, SUCCESSOR, "_x21 9x38")
            .fires(23, ALERT),
        // Two collectors of one ledger, one of which is behind.
        with(name, MISSING, "7x20 9x39")
            .set(MISSING, SUCCESSOR, "7x60")
            .quiet(&[20])
            .fires(22, ALERT),
        with(name, MISSING, "9x60")
            .set(MISSING, SUCCESSOR, "7x60")
            .quiet(&[15, 30]),
        with(name, MISSING, "7x20 _x8 7x31").quiet(&[25, 30]),
    ]
}

fn conflicts() -> Vec<Case> {
    const CONFLICTS: &str = "audit_collector_conflicts";
    vec![
        with("a conflict", CONFLICTS, "1x20 2x39")
            .quiet(&[20])
            .fires(22, "AuditConflicts")
            .fires(60, "AuditConflicts"),
        with("a conflict", CONFLICTS, "1x20 2x39")
            .set(CONFLICTS, SUCCESSOR, "1x60")
            .fires(22, "AuditConflicts"),
        with("a conflict", CONFLICTS, "2x60")
            .set(CONFLICTS, SUCCESSOR, "1x60")
            .quiet(&[15, 30]),
        with("a conflict", CONFLICTS, "1x20 _x8 1x31").quiet(&[30]),
    ]
}

fn silent() -> Vec<Case> {
    const SILENT: &str = "audit_collector_silent_streams";
    let name = "silent streams";
    vec![
        with(name, SILENT, "3x10 4x49")
            .quiet(&[20])
            .fires(30, "AuditStreamsSilent")
            .fires(60, "AuditStreamsSilent"),
        with(name, SILENT, "3x10 4x49")
            .set(SILENT, SUCCESSOR, "3x60")
            .fires(30, "AuditStreamsSilent"),
        with(name, SILENT, "4x60")
            .set(SILENT, SUCCESSOR, "3x60")
            .quiet(&[20, 30]),
        with(name, SILENT, "3x10 4x10 3x38").quiet(&[20, 30]),
    ]
}

fn checkpoints() -> Vec<Case> {
    const SIGNED: &str = "audit_collector_last_checkpoint_timestamp_seconds";
    const UNSIGNED: &str = "audit_collector_unsigned_records";
    const ROOT: &str = "audit_collector_last_checkpoint_has_root";
    let name = "checkpoints";
    vec![
        with(name, SIGNED, "0+60x10 600x49")
            .set(UNSIGNED, COLLECTOR, "1x60")
            .quiet(&[18])
            .fires(22, "AuditCheckpointOld"),
        with(name, SIGNED, "0+60x10 600x7 1080+60x41").quiet(&[18, 22, 30]),
        // Nothing to sign.
        with(name, SIGNED, "0x60")
            .set(UNSIGNED, COLLECTOR, "0x60")
            .quiet(&[30]),
        Case::healthy("the first checkpoint never comes")
            .without(SIGNED, COLLECTOR)
            .fires(10, "AuditCheckpointOld"),
        with(name, ROOT, "1x10 0x49")
            .quiet(&[12])
            .fires(20, "AuditCheckpointWithoutRoot"),
        with(name, ROOT, "1x10 0x3 1x45").quiet(&[13, 20]),
    ]
}

fn views() -> Vec<Case> {
    const LAG: &str = "audit_collector_views_lag_records";
    let name = "views";
    vec![
        with(name, LAG, "10x10 100001x49")
            .quiet(&[20])
            .fires(30, "AuditViewsBehind"),
        with(name, LAG, "10x10 100000x49").quiet(&[30]),
        with(name, LAG, "10x10 200000x10 10x38").quiet(&[20, 30]),
    ]
}

fn refused(name: &'static str, reason: &str, values: &str) -> Case {
    let labels = format!(r#"{COLLECTOR},reason="{reason}""#);
    Case::healthy(name).set("audit_collector_refused_total", &labels, values)
}

fn store() -> Vec<Case> {
    let name = "a store that refuses";
    let mut cases = vec![
        refused(name, "store_busy", "0x10 1x49").quiet(&[11, 14, 20]),
        refused(name, "invalid", "0+1x60").quiet(&[30]),
        refused(name, "too_many_requests", "0x10 1x49").quiet(&[11, 15, 21, 30]),
    ];
    for reason in ["store_busy", "store_failed", "internal"] {
        let lasting = refused(name, reason, "0x10 0+0.5x49").quiet(&[13]);
        cases.push(lasting.fires(20, "AuditStoreFails"));
    }
    for reason in ["too_many_requests", "no_memory"] {
        let lasting = refused("overload", reason, "0x10 0+0.1x49").quiet(&[18]);
        cases.push(lasting.fires(30, "AuditCollectorOverloaded"));
    }
    cases
}

fn database() -> Vec<Case> {
    const LAG: &str = "audit_collector_views_lag_records";
    let name = "a database that is silent";
    vec![
        with(name, LAG, "10x10 stale")
            .quiet(&[13])
            .fires(20, "AuditDatabaseSilent"),
        with(name, LAG, "10x10 stale _x2 10x46").quiet(&[12, 15, 20]),
    ]
}

fn refusals() -> Vec<Case> {
    let name = "batches that are refused";
    let answered = |status: &str, values: &str| {
        let labels = format!(r#"{COLLECTOR},status="{status}""#);
        Case::healthy(name).set("audit_collector_requests_total", &labels, values)
    };
    const ALERT: &str = "AuditCollectorRefusesBatches";
    vec![
        // The series of a status begins with its first request.
        answered("401", "_x20 1x39").fires(22, ALERT).quiet(&[35]),
        answered("400", "0x20 1x39").fires(22, ALERT).quiet(&[35]),
        answered("400", "3x20 _x15 3x24").quiet(&[15, 37, 45]),
        answered("429", "_x20 1+1x39").quiet(&[22, 30]),
        answered("408", "_x20 1+1x39").quiet(&[22]),
        answered("503", "_x20 1+1x39").quiet(&[22]),
    ]
}

fn tasks() -> Vec<Case> {
    let failing = |task: &str, values: &str| {
        let labels = format!(r#"{COLLECTOR},task="{task}""#);
        Case::healthy("background tasks").set("audit_collector_background_failing", &labels, values)
    };
    vec![
        failing("views", "0x10 1x49")
            .quiet(&[18])
            .fires(25, "AuditMaintenanceFails"),
        failing("checkpoints", "0x10 1x49").fires(25, "AuditMaintenanceFails"),
        failing("retention", "0x10 1x49")
            .quiet(&[18])
            .fires(25, "AuditRetentionStopped"),
        failing("views", "0x10 1x8 0x40").quiet(&[18, 25]),
        failing("retention", "0x10 1x8 0x40").quiet(&[18, 25]),
    ]
}
