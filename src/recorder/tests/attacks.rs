//! Attempts of a client to influence its own record, or another one.

use super::*;
use crate::recorder::recreated::Recreated;

const GRPC: (&str, &str) = ("content-type", "application/grpc");

fn all() -> Value {
    json!([{"name": "all"}])
}

/// A REST service may use Connect's error names. Its refusal is still one of HTTP.
#[test]
fn a_rest_error_with_a_connect_code_does_not_make_a_call() {
    let rules = json!([{"name": "login", "match": {"protocol": "http"}, "record_on": ["denied"]}]);
    for content_type in [
        "application/proto",
        "application/connect+json",
        "application/grpc-web",
    ] {
        let case = Case::new("POST", "/login")
            .rules(&rules)
            .headers(&[("content-type", content_type)])
            .status("403");
        let body = br#"{"code":"permission_denied","message":"wrong password"}"#;

        case.response_header("content-type", "application/json")
            .answer_body(body, 9)
            .rule(Some("login"));
    }
}

/// A GET is not a call, also if its client disconnects.
#[test]
fn a_get_that_claims_grpc_and_leaves_is_plain() {
    let record = Case::new("GET", "/pay")
        .rules(&all())
        .headers(&[GRPC])
        .client_leaves()
        .stream(|mut stream| {
            stream.request_headers = vec![
                ("content-type".into(), b"application/grpc".to_vec()),
                (":path".into(), b"/pay".to_vec()),
            ];
            stream
        });
    let record = record.recorded();
    let found = (record.protocol, record.outcome, text(record.action()));

    assert_eq!(found, (Protocol::Http, Some(Outcome::Success), "GET /pay"));
}

/// A client can send `x-envoy-original-method`, too.
#[test]
fn a_false_claim_of_transcoding_that_leaves_is_plain() {
    let headers = [GRPC, ("x-envoy-original-method", "POST")];
    let json = ("content-type", "application/json");
    let case = Case::new("POST", "/pay")
        .rules(&all())
        .headers(&headers)
        .response_header(json.0, json.1);
    let record = case.client_leaves().recorded();

    assert_eq!(
        (record.protocol, record.outcome),
        (Protocol::Http, Some(Outcome::Success))
    );
}

/// A client can send `x-envoy-original-path`, too, if Envoy is not an edge proxy.
#[test]
fn the_name_of_a_call_is_not_taken_from_a_header_of_the_client() {
    let original = ("x-envoy-original-path", "/acme.Users/Read");
    let case = Case::new("POST", "/acme.Users/Delete").rules(&all());
    let case = case
        .headers(&[original, ("content-type", "application/x-protobuf")])
        .stream(|mut stream| {
            stream.request_headers = vec![(original.0.into(), original.1.as_bytes().to_vec())];
            stream
        });
    let record = case.answer_trailers(&[("grpc-status", "0")]).recorded();

    assert_eq!(text(record.action()), "/acme.Users/Delete");
}

/// A path under `/v1.0/` does not name a gRPC service.
#[test]
fn a_dot_in_the_path_and_a_header_do_not_make_a_call_of_json() {
    let headers = [
        ("content-type", "application/json"),
        ("connect-protocol-version", "1"),
    ];
    let case = Case::new("POST", "/v1.0/pay")
        .rules(&all())
        .headers(&headers);
    let run = case
        .response_header("content-type", "application/json")
        .run();
    let ambiguous = run.stats.counter(Counter::Ambiguous);
    let record = run.record.unwrap();
    let found = (record.protocol, text(record.action()), ambiguous);

    assert_eq!(found, (Protocol::Http, "POST /v1.0/pay", 1));
}

/// Connect servers require neither `connect-protocol-version` nor `connect=v1` (Connect protocol:
/// servers "may" require them).
#[test]
fn a_unary_connect_call_without_the_optional_header_is_no_way_round_a_rule_of_calls() {
    let rules =
        json!([{"name": "calls", "match": {"protocol": "grpc"}, "require_audit": "buffered"}]);
    let case = Case::new("POST", "/acme.Users/Delete")
        .rules(&rules)
        .headers(&[("content-type", "application/json")]);
    let run = case
        .response_header("content-type", "application/json")
        .run();

    assert_eq!(
        (run.record.is_some(), run.required),
        (true, RequireAudit::Buffered)
    );
}

/// A requirement for calls does not apply to plain responses.
#[test]
fn a_session_of_calls_is_not_handed_out_to_a_page() {
    let rules = json!([{"name": "login", "match": {"protocol": "grpc"}, "session": "start"}, {"name": "all"}]);
    let run = Case::new("GET", "/page")
        .rules(&rules)
        .response_header("content-type", "text/html")
        .run();
    assert_eq!(run.returned, None, "{:?}", run.record);
}

/// The first rule that matches decides.
#[test]
fn a_rule_of_calls_that_wants_none_ends_the_search() {
    let call = |rules: &Value| {
        Case::grpc()
            .answer_trailers(&[("grpc-status", "0")])
            .rules(rules)
    };

    let first = |more: &Value| {
        let mut rule = json!({"name": "calls", "match": {"protocol": "grpc", "tracked": false}});
        rule.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!([rule, {"name": "all"}])
    };

    let untracked = |rules: &Value| {
        let mut case = call(rules);
        case.headers
            .retain(|(name, _)| !name.starts_with(b"x-session"));
        case
    };

    untracked(&first(&json!({"level": "none"}))).rule(None);
    untracked(&first(&json!({"record_on": ["denied"]}))).rule(None);
}

#[test]
fn a_rule_of_plain_requests_that_wants_none_ends_the_search() {
    let rules = json!([{"name": "health", "match": {"protocol": "http", "path": {"exact": "/healthz"}}, "level": "none"}, {"name": "all"}]);
    Case::new("GET", "/healthz").rules(&rules).rule(None);
    let rules = json!([{"name": "check", "match": {"protocol": "http"}, "record_on": ["success"]}, {"name": "all"}]);
    Case::new("GET", "/check")
        .status("404")
        .rules(&rules)
        .rule(None);
}

/// An upgrade that the server ignores is recorded by its method and path.
#[test]
fn an_upgrade_to_udp_that_was_not_made_names_no_target() {
    let path = "/.well-known/masque/udp/victim.example/443/";
    for path in ["/pay", path] {
        let record = Case::new("GET", path)
            .rules(&all())
            .headers(&[("upgrade", "connect-udp")])
            .recorded();
        assert_eq!(
            (text(record.action()), text(record.request.host())),
            (format!("GET {path}").as_str(), "api.example.com")
        );
    }
}

/// A client controls these limits and errors, and the server may have done its work by then.
#[test]
fn answers_that_a_client_provokes_from_envoy_avoid_no_record() {
    let rules = json!([{"name": "r", "record_on": ["success"], "http_statuses": [200]}]);
    let mut avoided = Vec::new();
    for (what, header, status, flags, details) in [
        (
            "grpc-timeout on a plain request",
            Some(("grpc-timeout", "1m")),
            "504",
            0,
            "max_duration_timeout",
        ),
        (
            "x-envoy-upstream-stream-duration-ms",
            Some(("x-envoy-upstream-stream-duration-ms", "1")),
            "408",
            1 << 19,
            "upstream_max_stream_duration_reached",
        ),
        (
            "x-envoy-expected-rq-timeout-ms",
            Some(("x-envoy-expected-rq-timeout-ms", "1")),
            "504",
            1 << 2,
            "response_timeout",
        ),
        (
            "a body that breaks HTTP/1.1",
            None,
            "400",
            1 << 18,
            "http1.codec_error",
        ),
        (
            "a body that never comes",
            None,
            "408",
            0,
            "request_overall_timeout",
        ),
        (
            "a body that stalls",
            None,
            "408",
            1 << 16,
            "stream_idle_timeout",
        ),
    ] {
        let case = Case::new("GET", "/check")
            .rules(&rules)
            .headers(header.as_slice())
            .status(status);
        if case.ends(flags, details).run().record.is_none() {
            avoided.push(what);
        }
    }

    assert!(avoided.is_empty(), "{avoided:?}");
}

/// A request for another path is another exchange, even with the same id.
#[test]
fn the_id_of_a_request_that_is_redirected_can_not_be_borrowed() {
    let recorder = recorder(&json!({"rules": all()}));
    let stats = Stats::default();
    let mut correlator = Correlator::new(Scope::Worker, STREAM, Rc::new(NoSharedData));
    let stream = FakeStream {
        request_headers: vec![
            ("x-request-id".into(), b"1".to_vec()),
            (":path".into(), b"/second".to_vec()),
        ],
        ..FakeStream::default()
    };
    let mut services = Services {
        stream: &stream,
        clock: &|| START,
        fresh_id: &|| Some(FRESH),
        correlator: &mut correlator,
        stats: &stats,
    };
    let mut exchange = Exchange::default();
    let first = owned(&[
        (":method", "GET"),
        (":path", "/first"),
        ("x-request-id", "1"),
    ]);

    let _ = recorder.handle_request_headers(&mut exchange, &view(&first), &mut services);

    let mut waiting = Recreated::default();
    assert!(
        waiting
            .suspend(exchange, (), &stream, START.uptime)
            .is_none()
    );

    let pay = owned(&[
        (":method", "POST"),
        (":path", "/pay"),
        ("x-request-id", "1"),
    ]);

    assert!(
        waiting.resume(&view(&pay), None).is_none(),
        "/pay goes on as /first, and is never recorded itself"
    );
}
