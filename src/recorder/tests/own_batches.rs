//! The filter's batches that pass through another instance.

use super::*;

const PRODUCT: (&str, &str) = ("user-agent", "audit-filter/9.9.9");
const KEY: (&str, &str) = (
    "idempotency-key",
    "\"00000000-0000-4000-8000-000000000000\"",
);
const TOKEN: (&str, &str) = ("authorization", "Bearer right");

/// A batch as sent by a filter, under a rule that records everything.
fn batch(audit_cluster: &Value) -> Case {
    let mut cluster = json!({"cluster": "audit"});
    cluster
        .as_object_mut()
        .unwrap()
        .extend(audit_cluster.as_object().unwrap().clone());

    Case::new("POST", "/v1/logs").config(&json!({
        "audit_cluster": cluster,
        "rules": [{"name": "all", "require_audit": "acknowledged"}],
        "trust": {"cidrs": ["127.0.0.0/8"]},
    }))
}

fn with_token() -> Case {
    batch(&json!({"headers": {"Authorization": "Bearer right", "x-scope-orgid": "1"}}))
}

/// Neither a record nor a reservation for one.
#[track_caller]
fn assert_no_record(case: Case) {
    let run = case.not_recorded();
    assert_eq!(
        (run.required, run.stats.counter(Counter::Excluded)),
        (RequireAudit::None, 1)
    );
    assert_eq!(run.stats.take_unproven_batches(), 0);
}

#[track_caller]
fn assert_record(case: Case, unproven: u64) {
    let run = case.run();
    assert_eq!(
        run.record.map(|record| record.rule.to_string()).as_deref(),
        Some("all")
    );
    assert_eq!(run.stats.take_unproven_batches(), unproven);
}

#[test]
fn the_secret_of_all_batches_is_the_proof() {
    for peer in [TRUSTED, UNTRUSTED, UNKNOWN] {
        assert_no_record(with_token().headers(&[PRODUCT, KEY, TOKEN]).peer(peer));
        assert_record(with_token().headers(&[PRODUCT, KEY]).peer(peer), 1);
        for forged in [
            "Bearer wrong",
            "Bearer righ",
            "Bearer right ",
            "bearer right",
            "",
        ] {
            assert_record(
                with_token()
                    .headers(&[PRODUCT, KEY, ("authorization", forged)])
                    .peer(peer),
                1,
            );
        }

        let twice = [PRODUCT, KEY, TOKEN, ("authorization", "Bearer wrong")];
        assert_record(with_token().headers(&twice).peer(peer), 1);
    }
}

#[test]
fn every_secret_is_needed() {
    let both = || batch(&json!({"headers": {"authorization": "Bearer right", "x-api-key": "k"}}));
    assert_no_record(both().headers(&[PRODUCT, KEY, TOKEN, ("x-api-key", "k")]));
    assert_record(both().headers(&[PRODUCT, KEY, TOKEN]), 1);
    assert_record(both().headers(&[PRODUCT, KEY, ("x-api-key", "k")]), 1);
}

#[test]
fn without_a_secret_the_peer_is_the_proof() {
    for audit_cluster in [
        json!({}),
        json!({"headers": {"x-scope-orgid": "1", "authorization": ""}}),
    ] {
        let case = || batch(&audit_cluster).headers(&[PRODUCT, KEY]);
        assert_no_record(case());
        assert_record(case().peer(UNTRUSTED), 1);
        assert_record(case().peer(UNKNOWN), 1);
    }
}

#[test]
fn what_looks_otherwise_is_no_batch() {
    let case = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let mut case = batch(&json!({})).headers(headers);
        case.headers
            .retain(|(name, _)| name != b":method" && name != b":path");
        case.headers(&[(":method", method), (":path", path)])
    };

    assert_no_record(case("POST", "/v1/logs", &[PRODUCT, KEY]));
    for (method, path) in [
        ("PUT", "/v1/logs"),
        ("POST", "/v1/logs/"),
        ("POST", "/v1/logz"),
        ("POST", "/v1/x/../logs"),
        ("POST", "//v1/logs"),
        ("POST", "/v1/l%6fgs"),
        ("POST", "/v1/logs?x"),
        ("POST", "/v1/logs#x"),
        ("POST", "/transfer"),
    ] {
        assert_record(case(method, path, &[PRODUCT, KEY]), 0);
    }

    for headers in [
        &[PRODUCT][..],
        &[KEY],
        &[KEY, ("user-agent", "audit-filter")],
        &[KEY, ("user-agent", "audit-filters/1")],
        &[KEY, ("user-agent", "x audit-filter/1")],
    ] {
        assert_record(case("POST", "/v1/logs", headers), 0);
    }
}

#[test]
fn a_batch_that_an_earlier_filter_has_answered_makes_no_record_either() {
    let run = batch(&json!({}))
        .headers(&[PRODUCT, KEY])
        .status("403")
        .unseen()
        .not_recorded();

    assert_eq!(
        (
            run.stats.counter(Counter::Excluded),
            run.stats.take_unproven_batches()
        ),
        (1, 0)
    );
}

#[test]
fn a_path_of_its_own_is_compared_as_it_is_sent() {
    let case = |path: &str| {
        let mut case = batch(&json!({"path": "/ingest//logs?tenant=1"})).headers(&[PRODUCT, KEY]);
        case.headers.retain(|(name, _)| name != b":path");
        case.headers(&[(":path", path)])
    };
    assert_no_record(case("/ingest//logs?tenant=1"));
    assert_record(case("/ingest/logs?tenant=1"), 0);
    assert_record(case("/ingest//logs?tenant=2"), 0);
}

#[test]
fn other_requests_cost_no_host_call() {
    let mut run = batch(&json!({})).headers(&[KEY]).peer(UNTRUSTED).run();
    let of_record = [
        Property::ConnectionId,
        Property::Protocol,
        Property::SourceAddress,
        Property::ResponseCodeDetails,
    ];
    run.asked.retain(|asked| !of_record.contains(asked));
    assert_eq!(run.asked, []);
}
