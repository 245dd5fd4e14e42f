//! The protocol that a request declares has no effect: the response decides.

use super::*;

const GRPC: (&str, &str) = ("content-type", "application/grpc");
const GRPC_JSON: (&str, &str) = ("content-type", "application/grpc+json");
const CONNECT: (&str, &str) = ("connect-protocol-version", "1");

/// A request to a server without gRPC support.
fn plain(method: &str, path: &str, rules: &Value) -> Case {
    Case::new(method, path)
        .rules(rules)
        .response_header("content-type", "application/json")
}

/// Fields of a record that the declared protocol must not change.
fn essence(run: Run) -> Option<(String, Protocol, Option<Outcome>, String, u64)> {
    let record = run.record?;
    let action = text(record.action()).to_owned();
    Some((
        record.rule.to_string(),
        record.protocol,
        record.outcome,
        action,
        run.stats.counter(Counter::Excluded),
    ))
}

#[test]
fn a_plain_exchange_is_recorded_as_without_the_claim() {
    let rules = json!([
        {"name": "calls", "match": {"protocol": "grpc"}},
        {"name": "pay", "match": {"protocol": "http", "methods": ["POST"], "path": {"exact": "/pay"}}},
        {"name": "rest", "record_on": ["success", "denied", "failure"]},
    ]);

    let claims = [
        GRPC,
        GRPC_JSON,
        ("content-type", "application/grpc-web"),
        ("content-type", "application/connect+json"),
        CONNECT,
    ];

    for (method, path) in [
        ("POST", "/pay"),
        ("POST", "/other"),
        ("GET", "/pay"),
        ("PUT", "/pay"),
    ] {
        for status in [
            "200", "204", "302", "400", "401", "403", "404", "500", "503",
        ] {
            let expected = essence(plain(method, path, &rules).status(status).run());
            assert!(expected.is_some(), "{method} {path} {status}");
            for claim in claims {
                let run = plain(method, path, &rules)
                    .status(status)
                    .headers(&[claim])
                    .run();
                assert_eq!(essence(run), expected, "{method} {path} {status} {claim:?}");
            }
        }
    }
}

#[test]
fn a_claim_that_the_answer_belies_is_counted() {
    let rules = json!([{"name": "all"}]);
    let count = |case: Case| case.run().stats.counter(Counter::Ambiguous);

    assert_eq!(
        count(plain("POST", "/pay", &rules).headers(&[GRPC_JSON])),
        1
    );
    assert_eq!(
        count(plain("GET", "/pay", &rules).headers(&[GRPC])),
        1,
        "a GET is no call"
    );
    assert_eq!(
        count(plain("POST", "/pay", &rules).headers(&[("content-type", "application/grpcx")])),
        1
    );
    assert_eq!(count(plain("POST", "/pay", &rules)), 0);
    assert_eq!(
        count(
            Case::grpc()
                .rules(&rules)
                .answer_trailers(&[("grpc-status", "0")])
        ),
        0
    );
    assert_eq!(
        count(
            plain("POST", "/pay", &rules)
                .headers(&[GRPC])
                .answer_headers(&[])
                .client_leaves()
        ),
        0
    );
}

#[test]
fn a_requirement_of_either_reading_holds_the_request() {
    let rule = |protocol: &str| json!({"name": protocol, "match": {"protocol": protocol}, "require_audit": "acknowledged"});
    let required = |rules: &Value, headers: &[(&str, &str)]| {
        Case::new("POST", "/acme.Users/Delete")
            .rules(rules)
            .headers(headers)
            .run()
            .required
    };
    let http = json!([rule("http")]);
    for headers in [&[][..], &[GRPC], &[GRPC_JSON], &[CONNECT]] {
        assert_eq!(
            required(&http, headers),
            RequireAudit::Acknowledged,
            "{headers:?}"
        );
    }

    let grpc = json!([rule("grpc")]);
    for headers in [&[GRPC][..], &[GRPC_JSON], &[CONNECT]] {
        assert_eq!(
            required(&grpc, headers),
            RequireAudit::Acknowledged,
            "{headers:?}"
        );
    }

    assert_eq!(
        required(&grpc, &[]),
        RequireAudit::None,
        "a plain request is no call"
    );

    let both = json!([rule("grpc"), {"name": "rest", "require_audit": "buffered"}]);
    assert_eq!(required(&both, &[GRPC]), RequireAudit::Acknowledged);
    assert_eq!(required(&both, &[]), RequireAudit::Buffered);
}

#[test]
fn a_login_with_a_false_claim_begins_its_session() {
    let rules = json!([{"name": "login", "session": "start", "record_on": ["success"],
        "identity": {"user_id": [{"response_json": "/UserId"}]}}]);
    let run = Case::new("POST", "/token")
        .rules(&rules)
        .headers(&[GRPC_JSON])
        .json_body(r#"{"UserId":1}"#, 4)
        .run();
    let record = run.record.unwrap();

    assert_eq!(
        (record.protocol, record.outcome),
        (Protocol::Http, Some(Outcome::Success))
    );
    assert_eq!(run.returned, Some(FRESH.to_string()));
    assert_eq!(optional(record.identity.user_id.as_ref()), Some("1"));
}

#[test]
fn a_call_that_a_proxy_answers_is_recorded_by_the_rule_of_calls() {
    let rules = json!([{"name": "calls", "match": {"protocol": "grpc"}}]);
    let record = Case::grpc()
        .rules(&rules)
        .response_header("content-type", "text/html")
        .status("503")
        .recorded();

    assert_eq!(
        (&*record.rule, record.protocol, record.outcome),
        ("calls", Protocol::Grpc, Some(Outcome::Failure))
    );

    let silent = Case::grpc()
        .rules(&rules)
        .answer_headers(&[])
        .client_leaves()
        .recorded();

    assert_eq!(
        (&*silent.rule, silent.outcome),
        ("calls", Some(Outcome::Aborted))
    );
}

#[test]
fn what_envoy_answers_itself_is_for_the_first_rule_of_either_reading() {
    let rules = |first: &str, second: &str| json!([{"name": "1", "match": {"protocol": first}}, {"name": "2", "match": {"protocol": second}}]);
    let refused = |rules: &Value| {
        Case::grpc()
            .rules(rules)
            .status("403")
            .response_header("content-type", "text/plain")
            .ends(0, "rbac_access_denied_matched_policy[p]")
    };

    for rules in [rules("http", "grpc"), rules("grpc", "http")] {
        let record = refused(&rules).recorded();
        assert_eq!(
            (&*record.rule, record.outcome),
            ("1", Some(Outcome::Denied))
        );
    }
}

#[test]
fn an_unary_connect_call_in_json_is_one_by_its_path() {
    let rules = json!([{"name": "all"}]);
    let json = |path: &str| {
        let headers = [("content-type", "application/json"), CONNECT];
        plain("POST", path, &rules).headers(&headers).recorded()
    };
    let call = json("/acme.Users/Get");

    assert_eq!(
        (call.protocol, call.dialect, call.outcome),
        (Protocol::Grpc, Dialect::Connect, Some(Outcome::Success))
    );
    assert_eq!(json("/v1/users").protocol, Protocol::Http);

    let only = |protocol: &str| json!([{"name": "r", "match": {"protocol": protocol}}]);
    for protocol in ["http", "grpc"] {
        let case = plain("POST", "/acme.Users/Get", &only(protocol)).headers(&[CONNECT]);
        case.rule(Some("r"));
    }
}
