//! Clients that disconnect, and other interruptions.

use super::*;
use crate::record::Termination;

#[track_caller]
fn check(case: Case, outcome: Outcome, termination: Termination) {
    let record = case.rules(&json!([{"name": "all"}])).recorded();
    assert_eq!(
        (record.outcome, record.termination),
        (Some(outcome), termination)
    );
}

/// The complete upstream response has reached the filter.
fn whole(case: Case) -> Case {
    case.answer_body(b"whole", 5)
}

#[test]
fn a_client_that_leaves_undoes_nothing() {
    let get = || Case::new("GET", "/");
    check(get().client_leaves(), Outcome::Success, Termination::Client);
    check(
        get().status("403").client_leaves(),
        Outcome::Denied,
        Termination::Client,
    );
    check(
        get().answer_headers(&[]).client_leaves(),
        Outcome::Aborted,
        Termination::Client,
    );

    let protocol_error = |case: Case| case.ends(1 << 18, "http2.violation.of.messaging.rule");
    check(protocol_error(get()), Outcome::Success, Termination::Client);
}

#[test]
fn what_breaks_off_an_answer_aborts_it() {
    let get = || Case::new("GET", "/");
    let stalled = |case: Case| case.ends(1 << 16, "stream_idle_timeout");

    check(get().broken_off(), Outcome::Aborted, Termination::Upstream);
    check(stalled(get()), Outcome::Aborted, Termination::Timeout);
    check(
        stalled(whole(get())),
        Outcome::Success,
        Termination::Timeout,
    );
    check(
        get().ends(1 << 25, "overload"),
        Outcome::Aborted,
        Termination::Proxy,
    );
}

#[test]
fn leaving_early_avoids_no_record() {
    let rules = json!([{"name": "r", "record_on": ["success"], "http_statuses": [200]}]);
    let get = || Case::new("GET", "/").rules(&rules);

    get().client_leaves().rule(Some("r"));
    get().answer_headers(&[]).client_leaves().rule(Some("r"));
    get().ends(1 << 16, "stream_idle_timeout").rule(Some("r"));
    get().status("404").client_leaves().rule(None);
    get().broken_off().rule(None);

    let calls = json!([{"name": "r", "match": {"protocol": "grpc"}, "record_on": ["success"]}]);
    Case::grpc().rules(&calls).client_leaves().rule(Some("r"));
    Case::grpc().rules(&calls).broken_off().rule(None);
}

#[test]
fn a_deadline_of_the_clients_own_avoids_no_record() {
    let rules = json!([{"name": "r", "record_on": ["success"], "http_statuses": [200]}]);
    let late = |headers: &[(&str, &str)]| {
        Case::new("GET", "/")
            .rules(&rules)
            .headers(headers)
            .status("504")
            .ends(1 << 2, "response_timeout")
    };

    late(&[("x-envoy-upstream-rq-timeout-ms", "1")]).rule(Some("r"));
    late(&[]).rule(None);

    let calls = json!([{"name": "r", "record_on": ["success"]}]);
    let late = |headers: &[(&str, &str)]| {
        let case = Case::grpc()
            .rules(&calls)
            .headers(headers)
            .response_header("grpc-status", "14");
        case.ends(1 << 2, "response_timeout")
    };

    late(&[("grpc-timeout", "1m")]).rule(Some("r"));
    late(&[]).rule(None);
}

#[test]
fn tunnels_are_complete_with_their_answer() {
    let upgrade = || {
        Case::new("GET", "/ws")
            .headers(&[("upgrade", "websocket")])
            .status("101")
    };

    check(
        upgrade().client_leaves(),
        Outcome::Success,
        Termination::Client,
    );
    check(
        upgrade().broken_off(),
        Outcome::Success,
        Termination::Upstream,
    );
    check(
        upgrade().ends(1 << 16, "stream_idle_timeout"),
        Outcome::Success,
        Termination::Timeout,
    );

    let mut connect = Case::new("CONNECT", "").broken_off();
    connect.headers[2].1 = b"target.example:443".to_vec();

    let record = connect.rules(&json!([{"name": "all"}])).recorded();
    assert_eq!(
        (record.outcome, text(record.action())),
        (Some(Outcome::Success), "CONNECT target.example:443")
    );
    assert_eq!(
        (text(record.request.host()), record.port),
        ("target.example", Some(443))
    );
}

#[test]
fn an_answer_that_was_rewritten_is_judged_by_its_cause() {
    let get = |flags, details| Case::new("GET", "/").ends(flags, details);
    check(
        get(0, "rbac_access_denied_matched_policy[p]"),
        Outcome::Denied,
        Termination::Complete,
    );
    check(
        get(1 << 12, "ext_authz_denied"),
        Outcome::Denied,
        Termination::Complete,
    );
    check(
        get(1 << 8, "route_not_found"),
        Outcome::Failure,
        Termination::Complete,
    );
    check(
        get(0, "direct_response"),
        Outcome::Success,
        Termination::Complete,
    );

    let mut replaced = Case::new("GET", "/");
    replaced
        .stream
        .properties
        .remove(&Property::ResponseCodeDetails);
    check(replaced, Outcome::Failure, Termination::Complete);

    let record = get(0, "cors_response")
        .rules(&json!([{"name": "all"}]))
        .recorded();

    assert_eq!(
        optional(record.response_code_details.as_ref()),
        Some("cors_response")
    );
}
