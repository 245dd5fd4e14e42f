//! The status of a call, and its source.

use super::*;

struct Expected {
    name: &'static str,
    source: StatusSource,
    outcome: Outcome,
}

#[track_caller]
fn check(case: Case, name: &'static str, source: StatusSource, outcome: Outcome) {
    let expected = Expected {
        name,
        source,
        outcome,
    };
    let record = case.recorded();
    let rpc = record.rpc.unwrap();

    assert_eq!(
        (&*rpc.name, rpc.source, record.outcome),
        (expected.name, expected.source, Some(expected.outcome))
    );
    assert_eq!(record.protocol, Protocol::Grpc);
}

fn trailers(status: &str) -> Case {
    Case::grpc().answer_trailers(&[("grpc-status", status)])
}

fn headers(http: &str, status: &str) -> Case {
    Case::grpc()
        .status(http)
        .response_header("grpc-status", status)
}

#[test]
fn in_trailers() {
    use StatusSource::Trailers;

    check(trailers("0"), "OK", Trailers, Outcome::Success);
    check(
        trailers("7"),
        "PERMISSION_DENIED",
        Trailers,
        Outcome::Denied,
    );
    check(trailers("16"), "UNAUTHENTICATED", Trailers, Outcome::Denied);
    check(trailers("5"), "NOT_FOUND", Trailers, Outcome::Failure);
    check(trailers("1"), "CANCELLED", Trailers, Outcome::Failure);
    check(trailers("17"), "CODE(17)", Trailers, Outcome::Failure);
    check(trailers("seven"), "UNKNOWN", Trailers, Outcome::Failure);
    check(trailers(""), "UNKNOWN", Trailers, Outcome::Failure);
    check(trailers("00"), "OK", Trailers, Outcome::Success);
}

#[test]
fn in_headers_of_an_answer_without_trailers() {
    use StatusSource::Headers;

    check(
        headers("200", "7"),
        "PERMISSION_DENIED",
        Headers,
        Outcome::Denied,
    );
    check(headers("200", "0"), "OK", Headers, Outcome::Success);
    check(
        headers("503", "14"),
        "UNAVAILABLE",
        Headers,
        Outcome::Failure,
    );
}

#[test]
fn trailers_come_first() {
    let both = headers("200", "0").answer_trailers(&[("grpc-status", "13")]);
    check(both, "INTERNAL", StatusSource::Trailers, Outcome::Failure);
}

#[test]
fn trailers_that_only_the_end_shows() {
    let at_the_end =
        |status| Case::grpc().stream(|stream| stream.with_trailers(&[("grpc-status", status)]));
    check(
        at_the_end("7"),
        "PERMISSION_DENIED",
        StatusSource::Trailers,
        Outcome::Denied,
    );
}

#[test]
fn nowhere_but_in_the_http_status() {
    use StatusSource::Http;

    check(
        Case::grpc().status("403"),
        "PERMISSION_DENIED",
        Http,
        Outcome::Denied,
    );
    check(
        Case::grpc().status("401"),
        "UNAUTHENTICATED",
        Http,
        Outcome::Denied,
    );
    check(Case::grpc().status("407"), "UNKNOWN", Http, Outcome::Denied);
    check(
        Case::grpc().status("503").broken_off(),
        "UNAVAILABLE",
        Http,
        Outcome::Failure,
    );
    check(
        Case::grpc().status("404"),
        "UNIMPLEMENTED",
        Http,
        Outcome::Failure,
    );
    check(
        Case::grpc().status("200"),
        "UNKNOWN",
        Http,
        Outcome::Failure,
    );
    check(
        Case::grpc().status("418"),
        "UNKNOWN",
        Http,
        Outcome::Failure,
    );
}

#[test]
fn nowhere_since_it_was_reset() {
    use StatusSource::Reset;

    check(
        Case::grpc().broken_off(),
        "UNKNOWN",
        Reset,
        Outcome::Aborted,
    );
    check(
        Case::grpc().client_leaves(),
        "UNKNOWN",
        Reset,
        Outcome::Aborted,
    );
    check(
        Case::grpc().answer_headers(&[]).client_leaves(),
        "UNKNOWN",
        Reset,
        Outcome::Aborted,
    );
}

#[test]
fn the_message_is_decoded_and_bounded() {
    let long = "%E2%82%AC".repeat(300);
    for (message, expected) in [
        ("no t%C3%B6ken", Some("no t\u{f6}ken")),
        ("", None),
        (&long, Some(&*"\u{20ac}".repeat(170))),
    ] {
        let pairs = [("grpc-status", "7"), ("grpc-message", message)];
        let record = Case::grpc().answer_trailers(&pairs).recorded();
        assert_eq!(optional(record.error_message.as_ref()), expected);
    }

    let pairs = [
        (":status", "200"),
        ("grpc-status", "7"),
        ("grpc-message", "from headers"),
    ];
    let record = Case::grpc()
        .stream(|stream| stream.with_headers(&pairs))
        .recorded();

    assert_eq!(
        optional(record.error_message.as_ref()),
        Some("from headers")
    );
}
