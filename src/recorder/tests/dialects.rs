//! Calls with the status in their body, and calls translated by other filters.

use super::*;

fn frame(flags: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[flags], length.as_slice(), content].concat()
}

/// A message and this last frame.
fn body(flags: u8, end: &str) -> Vec<u8> {
    [frame(0, &[7; 300]), frame(flags, end.as_bytes())].concat()
}

#[track_caller]
fn check(case: Case, expected: (&str, &str, Outcome, Dialect)) -> ExchangeRecord {
    let record = case.rules(&json!([{"name": "all"}])).recorded();
    let rpc = record.rpc.clone().expect("a call");

    assert_eq!(
        (
            &*rpc.name,
            rpc.source.as_str(),
            record.outcome.unwrap(),
            record.dialect
        ),
        expected
    );
    assert_eq!(record.protocol, Protocol::Grpc);
    record
}

#[test]
fn grpc_web_ends_in_its_body() {
    use base64ct::{Base64, Encoding};

    let web = |end: &str, chunk| {
        Case::call("application/grpc-web+proto").answer_body(&body(0x80, end), chunk)
    };
    for chunk in [1, 7, 5000] {
        let denied = web("grpc-status:7\r\ngrpc-message:no%20entry\r\n", chunk);
        let record = check(
            denied,
            (
                "PERMISSION_DENIED",
                "trailers",
                Outcome::Denied,
                Dialect::GrpcWeb,
            ),
        );

        assert_eq!(optional(record.error_message.as_ref()), Some("no entry"));
        check(
            web("Grpc-Status: 0\r\n", chunk),
            ("OK", "trailers", Outcome::Success, Dialect::GrpcWeb),
        );

        let text = Base64::encode_string(&frame(0, b"x"))
            + &Base64::encode_string(&frame(0x80, b"grpc-status:5\r\n"));
        let case = Case::call("application/grpc-web-text").answer_body(text.as_bytes(), chunk);

        check(
            case,
            ("NOT_FOUND", "trailers", Outcome::Failure, Dialect::GrpcWeb),
        );
    }
}

#[test]
fn a_body_whose_end_cannot_be_read_has_no_status() {
    let unknown = ("UNKNOWN", "unavailable", Outcome::Failure, Dialect::GrpcWeb);
    let long = "x".repeat(70_000);
    for (what, body) in [
        ("no end", frame(0, b"x")),
        ("a length that lies", vec![0x80, 0, 0, 0, 99, b'x']),
        ("an end that is too long", frame(0x80, long.as_bytes())),
        ("a compressed end", frame(0x81, b"grpc-status:0\r\n")),
        ("an end without a status", frame(0x80, b"x: y\r\n")),
        ("no frames", b"<html>".to_vec()),
    ] {
        println!("{what}");
        check(
            Case::call("application/grpc-web").answer_body(&body, 100),
            unknown,
        );
    }

    check(
        Case::call("application/grpc-web-text").answer_body(b"!!!!", 100),
        unknown,
    );

    let kept = Case::call("application/grpc-web")
        .answer_body(&frame(0, b"x"), 9)
        .rules(&json!([{"name": "r", "record_on": ["success"]}]));

    kept.rule(Some("r"));
}

#[test]
fn connect_streams_end_in_their_body() {
    let stream =
        |end: &str| Case::call("application/connect+json").answer_body(&body(0x02, end), 64);
    check(
        stream("{}"),
        ("OK", "trailers", Outcome::Success, Dialect::Connect),
    );
    check(
        stream(r#"{"metadata":{"a":["b"]}}"#),
        ("OK", "trailers", Outcome::Success, Dialect::Connect),
    );

    let denied = stream(r#"{"error":{"code":"permission_denied","message":"no \"entry\""}}"#);
    let record = check(
        denied,
        (
            "PERMISSION_DENIED",
            "trailers",
            Outcome::Denied,
            Dialect::Connect,
        ),
    );

    assert_eq!(
        optional(record.error_message.as_ref()),
        Some("no \"entry\"")
    );

    let long = format!(
        r#"{{"error":{{"code":"internal","message":"{}"}}}}"#,
        "é".repeat(300)
    );
    let record = check(
        stream(&long),
        ("INTERNAL", "trailers", Outcome::Failure, Dialect::Connect),
    );
    assert_eq!(record.error_message.map(|message| message.len()), Some(512));

    check(
        stream(r#"{"error":{}}"#),
        ("UNKNOWN", "trailers", Outcome::Failure, Dialect::Connect),
    );
    check(
        stream(r#"{"error":{"code":"strange"}}"#),
        ("UNKNOWN", "trailers", Outcome::Failure, Dialect::Connect),
    );

    for malformed in ["", "[]", "{", "{\"error\":"] {
        check(
            stream(malformed),
            ("UNKNOWN", "unavailable", Outcome::Failure, Dialect::Connect),
        );
    }
}

#[test]
fn unary_connect_calls_have_their_status_in_http_or_in_json() {
    let call = || Case::call("application/proto");
    check(call(), ("OK", "http", Outcome::Success, Dialect::Connect));
    check(
        call().client_leaves(),
        ("OK", "http", Outcome::Success, Dialect::Connect),
    );

    let error = |status: &str, body: &str| {
        let case = call()
            .status(status)
            .response_header("content-type", "application/json");
        case.answer_body(body.as_bytes(), 8)
    };
    let denied = error("403", r#"{"code":"permission_denied","message":"no"}"#);

    check(
        denied,
        (
            "PERMISSION_DENIED",
            "http",
            Outcome::Denied,
            Dialect::Connect,
        ),
    );

    let failed = error("400", r#"{"code":"failed_precondition"}"#);
    check(
        failed,
        (
            "FAILED_PRECONDITION",
            "http",
            Outcome::Failure,
            Dialect::Connect,
        ),
    );

    let other = error("404", r#"{"error":"no such page"}"#)
        .rules(&json!([{"name": "all"}]))
        .recorded();
    assert_eq!(
        (other.protocol, other.outcome),
        (Protocol::Http, Some(Outcome::Failure)),
        "no Connect error"
    );
}

#[test]
fn a_call_that_breaks_off_in_its_body_is_aborted() {
    for content_type in ["application/grpc-web", "application/connect+proto"] {
        let begun = || {
            let mut case = Case::call(content_type).answer_body(&frame(0, b"x"), 9);
            case.ends_with_body = false;
            case
        };

        let dialect = if content_type.contains("web") {
            Dialect::GrpcWeb
        } else {
            Dialect::Connect
        };

        check(
            begun().broken_off(),
            ("UNKNOWN", "reset", Outcome::Aborted, dialect),
        );
        check(
            begun().client_leaves(),
            ("UNKNOWN", "reset", Outcome::Aborted, dialect),
        );
    }
}

#[test]
fn a_request_that_becomes_a_call_behind_the_filter_is_one() {
    let rest = || {
        let mut case =
            Case::new("POST", "/v1/users/7").headers(&[("content-type", "application/json")]);
        case.stream.request_headers = vec![
            ("content-type".to_owned(), b"application/grpc".to_vec()),
            (":path".to_owned(), b"/acme.Users/Rename".to_vec()),
        ];
        case.response_header("content-type", "application/json")
    };
    let denied = rest().answer_trailers(&[("grpc-status", "7"), ("grpc-message", "no")]);
    let record = check(
        denied,
        (
            "PERMISSION_DENIED",
            "trailers",
            Outcome::Denied,
            Dialect::Transcoded,
        ),
    );

    assert_eq!(
        (text(record.action()), text(record.request.path())),
        ("/acme.Users/Rename", "/v1/users/7")
    );
    assert_eq!(
        optional(record.rpc_method.as_ref()),
        Some("acme.Users/Rename")
    );
    for protocol in ["grpc", "http"] {
        let rules = json!([{"name": "r", "match": {"protocol": protocol}}]);
        rest()
            .answer_trailers(&[("grpc-status", "7")])
            .rules(&rules)
            .rule(Some("r"));
    }
}

#[test]
fn a_client_of_grpc_whose_call_was_turned_into_json_is_native() {
    let mut case =
        Case::new("POST", "/v1/users/7").headers(&[("content-type", "application/json")]);

    case.stream.request_headers = vec![(
        "x-envoy-original-path".to_owned(),
        b"/acme.Users/Rename".to_vec(),
    )];

    let case = case.response_header("content-type", "application/grpc");
    let case = case.stream(|stream| stream.with_trailers(&[("grpc-status", "7")]));
    let record = check(
        case,
        (
            "PERMISSION_DENIED",
            "trailers",
            Outcome::Denied,
            Dialect::Grpc,
        ),
    );

    assert_eq!(
        optional(record.rpc_method.as_ref()),
        Some("acme.Users/Rename")
    );
}

/// Memory kept for the ends of bodies of one connection, as far as the quota allows.
#[test]
fn ends_of_bodies_are_kept_as_far_as_there_is_room() {
    let end = |flags| frame(flags, &[b' '; 60_000])[..50_000].to_vec();
    let error = [b"{".as_slice(), &[b' '; 50_000]].concat();

    for (content_type, status, body) in [
        ("application/grpc-web", "200", end(0x80)),
        ("application/connect+proto", "200", end(0x02)),
        ("application/json", "500", error),
    ] {
        let case = Case::call(content_type).status(status);
        let case = case.stream(|stream| stream.with_number(Property::ConnectionId, 7));
        let case = case
            .answer_body(&body, 5000)
            .rules(&json!([{"name": "all"}]));
        let mut exchanges: Vec<Exchange> = (0..300).map(|_| case.answered()).collect();
        let kept = case.recorder.bodies.used();

        assert!(
            (50_000 * 100..=MAX_BODIES_BYTES / 4).contains(&kept),
            "{content_type}: {kept}"
        );

        let ended = case.recorder.handle_end(
            &mut exchanges[299],
            &case.stream,
            &|| END,
            &Stats::default(),
        );

        if status == "200" {
            let rpc = ended.record.unwrap().rpc.unwrap();
            assert_eq!(
                (&*rpc.name, rpc.source.as_str()),
                ("UNKNOWN", "unavailable")
            );
        }

        exchanges.clear();
        assert_eq!(case.recorder.bodies.used(), 0, "{content_type}");
    }
}
