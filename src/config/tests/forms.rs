//! Both delivery forms of one configuration give the same settings.

use super::*;
use crate::recorder::identity::metadata::MetadataPath;
use crate::recorder::identity::response_json::Pointer;
use crate::recorder::identity::{IdentitySettings, IdentitySource};
use crate::recorder::session::token::HmacKey;
use crate::recorder::session::{IdSource, SessionEvent, SessionSettings, SessionSource};
use crate::recorder::tracking::set_tracking::{ContextSource, SetTracking};

#[test]
fn every_key_is_read() {
    let Config {
        recorder,
        pipeline,
        warnings,
    } = accepted(&everything());
    assert_eq!(
        warnings,
        ["configuration: enabled is false: no request is held for require_audit"]
    );

    assert!(
        !recorder.enabled
            && recorder.tracking.strip_context
            && recorder.tracking.record_empty_context
    );
    let tracking = &recorder.tracking;
    assert_eq!(
        [
            &tracking.track_header,
            &tracking.operation_header,
            &tracking.context_header
        ],
        ["x-track", "x-op", "x-ctx"]
    );
    assert_eq!(
        (
            tracking.max_context_bytes,
            tracking.correlation_headers[0].as_str()
        ),
        (100, "x-c-id")
    );
    assert_eq!(
        (
            recorder.trust.cidrs.len(),
            recorder.trust.uri_sans[0].as_str()
        ),
        (2, "spiffe://mesh.internal/")
    );

    let target = &pipeline.target;
    assert_eq!(
        (target.format, target.timeout),
        (Format::Ndjson, Duration::from_millis(250))
    );
    let token = ("authorization".to_owned(), format!("Bearer {SECRET}"));
    assert_eq!(
        target.headers,
        [token, ("x-tenant".to_owned(), "a b".to_owned())]
    );

    assert_eq!(
        (pipeline.batch.max_records, pipeline.batch.max_delay),
        (7, Duration::from_millis(500))
    );
    assert_eq!(
        (pipeline.buffer.max_records, pipeline.buffer.on_full),
        (200, OnFull::DropOldest)
    );
    assert_eq!(pipeline.buffer.immediate_reserve_percent, 25);
    assert_eq!(
        (pipeline.retry.max_attempts, pipeline.retry.max_age),
        (Some(9), Some(Duration::from_secs(3600)))
    );
}

#[test]
fn every_key_of_a_rule_is_read() {
    let policy = accepted(&everything()).recorder.policy;
    let header = |name: &str, value| HeaderCondition {
        name: name.to_owned(),
        value,
    };
    let conditions = Conditions {
        protocol: Some(Protocol::Http),
        hosts: vec![
            HostPattern::Exact("api.example.com".to_owned()),
            HostPattern::Suffix(".internal".to_owned()),
            HostPattern::Literal("::1".parse().unwrap()),
        ],
        methods: vec!["POST".to_owned(), "PUT".to_owned()],
        path: Some(PathPattern::Template(
            Template::parse("/v1/users/{id}/password").unwrap(),
        )),
        headers: vec![
            header("x-env", ValuePattern::Exact("prod".to_owned())),
            header("a", ValuePattern::Prefix("p".to_owned())),
            header("b", ValuePattern::Suffix("s".to_owned())),
            header("c", ValuePattern::Contains("c".to_owned())),
            header("d", ValuePattern::Present(true)),
            header("e", ValuePattern::Present(false)),
        ],
        tracked: Some(false),
    };

    let [change, health, api, _, rest] = &policy[..] else {
        panic!("{policy:?}")
    };
    assert_eq!(change.conditions, conditions);
    assert_eq!(change.action.as_deref(), Some("password.change"));
    assert_eq!(change.record_on, [Outcome::Failure, Outcome::Denied]);

    let ranges =
        [(400, 400), (403, 403), (500, 599)].map(|(first, last)| StatusRange { first, last });
    assert_eq!(change.http_statuses, ranges);
    assert_eq!(
        (&change.immediate_on[..], change.require_audit),
        (&[Outcome::Denied][..], RequireAudit::Acknowledged)
    );
    assert_eq!(
        (api.require_audit, rest.require_audit),
        (RequireAudit::Buffered, RequireAudit::None)
    );
    assert_eq!(*change.tags, [("retention".to_owned(), "7y".to_owned())]);

    let extra = change.extra_fields;
    assert!(
        extra.upstream_cluster
            && extra.peer_uri_san
            && extra.response_flags
            && extra.response_code_details
    );

    assert!(!health.recorded && api.recorded);
    assert_eq!(api.conditions.protocol, Some(Protocol::Grpc));
    assert_eq!(
        rest.conditions.path,
        Some(PathPattern::Suffix(".json".to_owned()))
    );
}

#[test]
fn every_source_is_read() {
    let header = |name: &str| name.to_owned();
    let metadata = |path: [&str; 3]| {
        MetadataPath::new(path.into_iter().filter(|key| !key.is_empty())).unwrap()
    };

    let recorder = accepted(&everything()).recorder;
    let [change, health, _, edge, _] = &recorder.policy[..] else {
        panic!("{recorder:?}")
    };

    let name = vec![IdentitySource::PeerUriSan];
    let mail = vec![IdentitySource::Metadata(metadata([
        "ns",
        "https://example.com/mail",
        "",
    ]))];
    let id = vec![
        IdentitySource::ResponseHeader(header("x-user")),
        IdentitySource::Header(header("x-user")),
    ];
    let global = IdentitySettings {
        fields: [id, name.clone(), mail.clone()],
        max_body_bytes: 65_536,
    };
    assert_eq!(*health.identity, global);

    let of_change = vec![IdentitySource::ResponseJson(
        Pointer::parse("/user/id").unwrap(),
    )];
    let of_change = IdentitySettings {
        fields: [of_change, name, mail],
        max_body_bytes: 1000,
    };
    assert_eq!(*change.identity, of_change);

    let context = vec![
        ("address".to_owned(), ContextSource::PeerAddress),
        (
            "device".to_owned(),
            ContextSource::Header(header("x-device")),
        ),
        ("peer".to_owned(), ContextSource::PeerUriSan),
        (
            "sub".to_owned(),
            ContextSource::Metadata(metadata(["ns", "jwt", "sub"])),
        ),
        ("theme".to_owned(), ContextSource::Cookie(header("theme"))),
    ];
    assert_eq!(
        edge.set_tracking,
        Some(SetTracking {
            operation: Some("edge".to_owned()),
            context
        })
    );

    let key = HmacKey::new("k1", b"0123456789abcdef0123456789abcdef").unwrap();
    let session = SessionSettings {
        id: vec![IdSource {
            source: SessionSource::Cookie(header("sid")),
            is_reference: true,
        }],
        token: vec![
            SessionSource::Header(header("x-token")),
            SessionSource::Bearer,
        ],
        token_mode: TokenMode::Hmac(key),
    };
    assert_eq!(
        (recorder.session, recorder.correlation_scope),
        (session, Scope::Process)
    );
    assert_eq!(
        (change.session, change.correlate),
        (Some(SessionEvent::Start), true)
    );

    let names = [
        &change.capture.query,
        &change.capture.request_headers,
        &change.capture.response_headers,
    ];
    let attributes: Vec<&str> = names
        .iter()
        .flat_map(|list| list.iter().map(|wanted| &*wanted.attribute))
        .collect();
    let expected = [
        "query.q",
        "request_headers.x-tenant",
        "response_headers.x-cache",
    ];
    assert_eq!(
        attributes,
        expected.map(|name| format!("audit.capture.{name}"))
    );
}

#[test]
fn json_text_and_protobuf_struct_are_equal() {
    let value = everything();
    let packed = to_struct(value.as_object().unwrap()).encode_to_vec();
    assert_eq!(
        parse(&packed, &environment),
        parse(value.to_string().as_bytes(), &environment)
    );
    assert!(parse(&packed, &environment).is_ok());
}

#[test]
fn integers_may_be_strings_of_digits() {
    for pointer in [
        "/batch/max_records",
        "/tracking/max_context_bytes",
        "/retry/max_attempts",
        "/buffer/max_records",
    ] {
        let expected = accepted(&with(pointer, json!(12)));

        for same in [json!("12"), json!(12.0), json!("012")] {
            assert_eq!(accepted(&with(pointer, same)), expected, "{pointer}");
        }
        assert_ne!(accepted(&minimal()), expected, "{pointer}");
    }
}

#[test]
fn nothing_at_all_lacks_only_the_cluster() {
    for bytes in ["", " \n", "{}"] {
        let problems = parse(bytes.as_bytes(), &environment).unwrap_err().problems;
        assert_eq!(problems, ["audit_cluster: is required"]);
    }

    refused(
        &json!({"audit_cluster": {}}),
        &["audit_cluster.cluster: is required"],
    );
    refused(
        &json!({"audit_cluster": {"cluster": ""}}),
        &["audit_cluster.cluster: must not be empty"],
    );
}
