//! Malicious input bytes.

use super::*;

#[test]
fn no_utf8_anywhere() {
    let evil = b"\xff\xfe\x00\x80";
    let mut case = Case::new("GET", "/")
        .raw("x-session-track", b"true")
        .raw("x-session-operation", evil)
        .raw("x-session-context", evil)
        .raw("user-agent", evil)
        .raw("traceparent", evil)
        .raw("content-type", evil)
        .raw("cookie", evil);

    for index in 0..3 {
        case.headers[index].1 = evil.to_vec();
    }
    case.headers.push((evil.to_vec(), evil.to_vec()));

    let properties = [
        Property::Protocol,
        Property::ResponseFlags,
        Property::ResponseCodeDetails,
    ];

    case.stream
        .properties
        .extend(properties.map(|property| (property, evil.to_vec())));
    case.stream
        .response_headers
        .insert(":status".to_owned(), evil.to_vec());

    let record = case.recorded();
    assert_eq!(
        (record.request.path(), record.action()),
        (&evil[..], &evil[..])
    );
    assert_eq!(record.context, Some(Context::Whole(evil.to_vec())));
    assert_eq!(
        (record.outcome, record.response_flags),
        (Some(Outcome::Aborted), None)
    );
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        ":method",
        ":path",
        ":authority",
        "content-type",
        "x-session-track",
        "x-session-operation",
        "x-session-context",
        "x-audit-stream-id",
        "traceparent",
        "user-agent",
        "cookie",
    ];

    prop_oneof![
        4 => prop::sample::select(known.to_vec()).prop_map(|name| name.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "true",
        "GET",
        "/check",
        "application/grpc",
        "true,x",
        "",
        "/a/../check?x",
    ];

    prop_oneof![
        prop::sample::select(known.to_vec()).prop_map(|value| value.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #[test]
    fn no_request_makes_it_panic(
        pairs in prop::collection::vec((name(), value()), 0..14),
        source in value(),
        status in value(),
        seen: bool,
        flags: i64,
        details in value(),
    ) {
        let mut case = Case::new("GET", "/check");
        case.headers = pairs.clone();
        case.trailers = pairs;
        case.stream.properties.insert(Property::SourceAddress, source);
        case.stream.response_trailers.insert("grpc-status".to_owned(), status.clone());
        case.stream.response_trailers.insert("grpc-message".to_owned(), status);
        case.stream = case.stream.with_number(Property::ResponseFlags, flags);
        case.stream.properties.insert(Property::ResponseCodeDetails, details);
        case.is_seen = seen;

        let has = |name: &str| case.headers.iter().any(|(found, _)| found == name.as_bytes());
        let must_go: Vec<&str> =
            ["x-session-track", "x-session-operation", "x-audit-stream-id"].into_iter().filter(|name| has(name)).collect();
        let run = case.run();
        for name in must_go {
            prop_assert!(!seen || run.removed.iter().any(|removed| removed == name), "{} stays", name);
            prop_assert!(!seen || run.removed_from_trailers.iter().any(|removed| removed == name), "{} stays", name);
        }
    }
}
