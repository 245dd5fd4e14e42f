//! What goes wrong in proxies.

use crate::scenario::{Case, PROXY, QUIET};

/// A proxy that is new in the fleet.
const NEW_PROXY: &str = r#"job="audit-proxy",instance="proxy-3""#;

/// The alert of each counter that must stand still.
fn alert_of(counter: &str) -> &'static str {
    match counter {
        "audit_filter_headers_spoofed" => "AuditHeadersSpoofed",
        "audit_filter_requests_refused" => "AuditRequestsRefused",
        "audit_filter_journal_refused" => "AuditJournalRefused",
        _ => "AuditRecordsLost",
    }
}

pub fn all() -> Vec<Case> {
    let mut cases = vec![Case::healthy("all is well").quiet(&[12, 30, 60])];
    cases.extend(QUIET.into_iter().flat_map(counter));
    cases.extend(delivery());
    cases.extend(failing());
    cases.extend(buffer());
    cases.extend(bypass());
    cases.extend(presence());
    cases.extend(sums());
    cases.extend(istio());
    cases
}

fn counter(name: &'static str) -> Vec<Case> {
    let alert = alert_of(name);
    let at = |values| Case::healthy(name).set(name, PROXY, values);
    vec![
        at("0x20 1x39").fires(22, alert).quiet(&[20, 35]),
        at("5x20 0 2x38").fires(24, alert),
        // A restart, and a pause in which it was not scraped.
        at("5x20 0x39").quiet(&[15, 22, 30]),
        at("5x20 _x15 5x24").quiet(&[15, 37, 45]),
        // A series that begins with what happened before it was first scraped.
        Case::healthy(name)
            .set(name, NEW_PROXY, "_x20 1x39")
            .fires(22, alert)
            .quiet(&[35]),
    ]
}

fn delivery() -> Vec<Case> {
    const ACKNOWLEDGED: &str = "audit_filter_records_acknowledged";
    const HELD: &str = "audit_filter_buffer_records";
    let name = "delivery";
    vec![
        Case::healthy(name)
            .set(HELD, PROXY, "0x10 1x49")
            .set(ACKNOWLEDGED, PROXY, "0+10x10 100x49")
            .quiet(&[12, 22])
            .fires(30, "AuditDeliveryStuck"),
        // An outage of nine minutes.
        Case::healthy(name)
            .set(HELD, PROXY, "2x10 20+10x9 2x39")
            .set(ACKNOWLEDGED, PROXY, "0+10x10 100x9 200+10x39")
            .quiet(&[15, 20, 25, 30]),
        // An outage of eight minutes after a time without records.
        Case::healthy(name)
            .set(HELD, PROXY, "0x10 3x7 0x41")
            .set(ACKNOWLEDGED, PROXY, "100x17 130x42")
            .quiet(&[16, 17, 18, 20]),
        // Nothing to deliver.
        Case::healthy(name)
            .set(HELD, PROXY, "0x60")
            .set(ACKNOWLEDGED, PROXY, "100x60")
            .quiet(&[15, 30]),
        // Not scraped for a quarter of an hour.
        Case::healthy(name)
            .set(HELD, PROXY, "2x10 _x15 2x34")
            .set(ACKNOWLEDGED, PROXY, "0+10x10 _x15 260+10x34")
            .quiet(&[15, 20, 26, 30]),
    ]
}

fn failing() -> Vec<Case> {
    const FAILED: &str = "audit_filter_batches_failed";
    let name = "batches that fail";
    vec![
        Case::healthy(name)
            .set(FAILED, PROXY, "0x10 0+3x49")
            .quiet(&[15])
            .fires(35, "AuditDeliveryFailing"),
        Case::healthy(name)
            .set(FAILED, PROXY, "0+2x60")
            .quiet(&[30]),
        // Envoy accepts none.
        Case::healthy(name)
            .set("audit_filter_batches_dispatched", PROXY, "50x60")
            .set(FAILED, PROXY, "0+1x60")
            .fires(30, "AuditDeliveryFailing"),
        Case::healthy(name)
            .set(FAILED, PROXY, "0x10 0+8x4 32x45")
            .quiet(&[16, 20, 25]),
    ]
}

fn buffer() -> Vec<Case> {
    let name = "a buffer that fills";
    let with = |metric: &str, values| {
        Case::healthy(name).set(&format!("audit_filter_buffer_{metric}"), PROXY, values)
    };
    vec![
        with("records", "2x10 10001x49").fires(15, "AuditBufferNearlyFull"),
        with("bytes", "2000x10 9437185x49").fires(15, "AuditBufferNearlyFull"),
        with("records", "2x10 10000x49").quiet(&[15]),
        with("bytes", "2000x10 9437184x49").quiet(&[15]),
        with("records", "2x10 12000x1 2x47").quiet(&[11, 12, 13, 15]),
    ]
}

fn bypass() -> Vec<Case> {
    const SEEN: &str = "audit_filter_requests_seen";
    const COMPLETED: &str = "envoy_http_downstream_rq_completed";
    let name = "requests beside the filter";
    let listener = |prefix: &str| format!(r#"{PROXY},envoy_http_conn_manager_prefix="{prefix}""#);
    let ingress = listener("ingress");
    vec![
        Case::healthy(name)
            .set(SEEN, PROXY, "0+89x60")
            .quiet(&[8])
            .fires(30, "AuditRequestsBypassFilter"),
        Case::healthy(name).set(SEEN, PROXY, "0+91x60").quiet(&[30]),
        // A second listener without the filter.
        Case::healthy(name)
            .set(COMPLETED, &listener("other"), "0+100x60")
            .fires(30, "AuditRequestsBypassFilter"),
        // Too few to judge.
        Case::healthy(name)
            .set(SEEN, PROXY, "0x60")
            .set(COMPLETED, &ingress, "0+1x60")
            .quiet(&[30, 60]),
        Case::healthy(name)
            .set(SEEN, PROXY, "0x60")
            .set(COMPLETED, &ingress, "0+3x60")
            .fires(30, "AuditRequestsBypassFilter"),
        // A restart, with the first requests before the first scrape.
        Case::healthy(name)
            .set(SEEN, PROXY, "0+100x20 40+100x38")
            .set(COMPLETED, &ingress, "0+100x20 50+100x38")
            .quiet(&[21, 25, 30, 35]),
    ]
}

fn presence() -> Vec<Case> {
    const CAPTURED: &str = "audit_filter_records_captured";
    let name = "proxies and their filter";
    let other = r#"job="audit-proxy",instance="proxy-2""#;
    vec![
        Case::healthy(name)
            .without(CAPTURED, PROXY)
            .quiet(&[3])
            .fires(10, "AuditFilterMissing"),
        // A new proxy whose filter is fetched.
        Case::healthy(name)
            .set("up", NEW_PROXY, "_x20 1x39")
            .set(CAPTURED, NEW_PROXY, "_x24 0+10x35")
            .quiet(&[23, 26, 30]),
        Case::healthy(name)
            .set("up", PROXY, "1x10 0x49")
            .set(CAPTURED, PROXY, "0+10x10 stale")
            .quiet(&[18])
            .fires(25, "AuditProxyNotScraped"),
        Case::healthy(name)
            .set("up", PROXY, "1x10 0x8 1x40")
            .quiet(&[15, 20, 25]),
        Case::healthy("no proxy at all")
            .without("up", PROXY)
            .without("up", other)
            .fires(15, "AuditProxyNotScraped"),
    ]
}

/// Sums of counters that each begin at 0.
fn sums() -> Vec<Case> {
    let counters = [
        ("envoy_wasm_audit_vm_reload_success", "AuditVmCrashed"),
        (
            "envoy_wasm_shop.audit_http_vm_reload_backoff",
            "AuditVmCrashed",
        ),
        ("envoy_wasm_audit_vm_reload_failure", "AuditVmCrashed"),
        (
            "envoy_listener_manager_lds_update_rejected",
            "AuditConfigurationRefused",
        ),
        (
            "envoy_extension_config_discovery_http_filter_audit_update_rejected",
            "AuditConfigurationRefused",
        ),
    ];
    let cases = |(name, alert): (&'static str, _)| {
        let metric = name.replace('.', "_");
        let at = move |values| Case::healthy(name).set(&metric, PROXY, values);
        [
            at("1x20 2x39").fires(22, alert).quiet(&[20, 35]),
            at("5x20 0x39").quiet(&[22, 30]),
            at("5x20 _x15 5x24").quiet(&[15, 37, 45]),
        ]
    };
    let mut all: Vec<_> = counters.into_iter().flat_map(cases).collect();
    all.push(
        Case::healthy("another plugin")
            .set("envoy_wasm_other_vm_reload_success", PROXY, "1x20 2x39")
            .quiet(&[22]),
    );
    all
}

fn istio() -> Vec<Case> {
    let rejects = |values| {
        Case::healthy("Istio refuses").set("pilot_total_xds_rejects", r#"type="ecds""#, values)
    };
    vec![
        rejects("4x20 5x39")
            .fires(22, "AuditIstioRefusesConfiguration")
            .quiet(&[35]),
        rejects("_x20 1x39").fires(22, "AuditIstioRefusesConfiguration"),
        rejects("4x20 _x15 4x24").quiet(&[37]),
        rejects("4x20 0x39").quiet(&[22]),
        Case::healthy("clusters that Istio refuses")
            .set("pilot_total_xds_rejects", r#"type="cds""#, "0x20 3x39")
            .quiet(&[22]),
    ]
}
