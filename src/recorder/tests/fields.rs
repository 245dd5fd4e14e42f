//! The fields of a record.

use super::*;

fn full_stream(stream: FakeStream) -> FakeStream {
    stream
        .with_properties(&[
            (Property::SourceAddress, "[2001:db8::7]:4567"),
            (Property::PeerUriSan, "spiffe://mesh.internal/a"),
            (Property::Protocol, "HTTP/2"),
            (Property::ResponseCodeDetails, "via_upstream"),
            (Property::UpstreamCluster, "shop"),
        ])
        .with_number(Property::ResponseFlags, 0b10_0000)
}

#[test]
fn flags_and_details_tell_of_outcomes_other_than_success() {
    let rules = json!([{"name": "r"}]);
    for (status, expected) in [
        ("200", None),
        ("302", None),
        ("403", Some("UF")),
        ("503", Some("UF")),
    ] {
        let record = Case::new("GET", "/")
            .rules(&rules)
            .stream(full_stream)
            .status(status)
            .recorded();

        assert_eq!(record.response_flags.as_deref(), expected, "{status}");

        let details = expected.map(|_| "via_upstream");
        assert_eq!(
            optional(record.response_code_details.as_ref()),
            details,
            "{status}"
        );
        assert_eq!(
            (record.upstream_cluster, record.peer_uri_san),
            (None, None),
            "only on demand"
        );
    }
}

#[test]
fn extra_fields_are_asked_for_one_by_one() {
    let plain = Case::new("GET", "/")
        .rules(&json!([{"name": "r"}]))
        .stream(full_stream)
        .run()
        .asked;

    for (field, property) in [
        ("upstream_cluster", Property::UpstreamCluster),
        ("peer_uri_san", Property::PeerUriSan),
        ("response_flags", Property::ResponseFlags),
        ("response_code_details", Property::ResponseCodeDetails),
    ] {
        let rules = json!([{"name": "r", "extra_fields": [field]}]);
        let run = Case::new("GET", "/")
            .rules(&rules)
            .stream(full_stream)
            .run();

        assert_eq!(
            run.asked.iter().filter(|asked| **asked == property).count(),
            1,
            "{field}"
        );

        let more = usize::from(!plain.contains(&property));
        assert_eq!(
            run.asked.len(),
            plain.len() + more,
            "{field}: {:?}",
            run.asked
        );

        let record = run.record.unwrap();
        let found = [
            optional(record.upstream_cluster.as_ref()),
            optional(record.peer_uri_san.as_ref()),
            record.response_flags.as_deref(),
            optional(record.response_code_details.as_ref()),
        ];

        assert_eq!(found.iter().flatten().count(), 1, "{field}: {found:?}");
    }
}

#[test]
fn what_the_request_told() {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let agent = "\u{f6}".repeat(200);
    let headers = [
        ("user-agent", agent.as_str()),
        ("x-request-id", "id-1"),
        ("traceparent", trace),
    ];

    let record = Case::new("GET", "/check")
        .headers(&headers)
        .stream(full_stream)
        .status("200")
        .recorded();

    assert_eq!(
        optional(record.request.user_agent()),
        Some(&*"\u{f6}".repeat(128))
    );
    assert_eq!(optional(record.request.request_id()), Some("id-1"));
    assert_eq!(record.trace.unwrap().span_id, *b"b7ad6b7169203331");
    assert_eq!(record.protocol_version.as_deref().map(text), Some("2"));
    assert_eq!(
        optional(record.client_address.as_ref()),
        Some("2001:db8::7")
    );

    let bad = Case::new("GET", "/check")
        .headers(&[("traceparent", "00-0-0-00")])
        .recorded();

    assert_eq!(bad.trace, None);
}

#[test]
fn every_value_is_bounded() {
    let long = "x".repeat(100_000);
    let path = format!("/{long}");
    let headers = [
        TRACK,
        CONTEXT,
        ("user-agent", &long),
        ("x-request-id", &long),
        ("x-session-operation", &long),
    ];
    let mut case = Case::new(&long, &path).headers(&headers);

    case.headers[2].1 = long.as_bytes().to_vec();

    let record = case.recorded();
    assert_eq!(
        (record.request.path().len(), record.request.method().len()),
        (bounds::MAX_PATH_BYTES, bounds::MAX_NAME_BYTES)
    );
    assert_eq!(
        (record.request.host().len(), record.action().len()),
        (bounds::MAX_NAME_BYTES, 256)
    );
    assert_eq!(
        (
            record.request.user_agent().unwrap().len(),
            record.request.request_id().unwrap().len()
        ),
        (256, bounds::MAX_NAME_BYTES)
    );
}
