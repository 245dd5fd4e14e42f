//! The user: source order, trust in peers, and reasons for a missing value.

use super::*;
use crate::recorder::fake::serialized;

const MESH: &str = "metadata\0filter_metadata\0envoy.filters.http.jwt_authn\0jwt\0sub";

fn rules(user_id: &Value) -> Value {
    json!([{"name": "r", "identity": {"user_id": user_id}}])
}

#[track_caller]
fn check(case: Case, user: Option<&str>, source: &str) {
    let identity = case.recorded().identity;
    assert_eq!(
        (
            optional(identity.user_id.as_ref()),
            identity.source.as_deref()
        ),
        (user, Some(source))
    );
}

fn checked(body: &str) -> Case {
    Case::new("GET", "/check").json_body(body, 7)
}

#[test]
fn a_session_check_names_its_user_in_the_answer() {
    check(
        checked(r#"{"Roles":["1"],"UserId":9007199254740993}"#),
        Some("9007199254740993"),
        "response_json",
    );
    check(
        checked(r#"{"UserId":"al\u0069ce"}"#),
        Some("alice"),
        "response_json",
    );
    check(checked("{}"), None, "unavailable:absent");
    check(checked(r#"{"UserId":"#), None, "unavailable:not_json");
    check(
        checked(r#"{"UserId":1}"#).response_header("content-encoding", "gzip"),
        None,
        "unavailable:encoded",
    );
    check(
        checked(r#"{"UserId":1}"#).response_header("content-type", "text/html"),
        None,
        "unavailable:not_json",
    );

    let long = format!(r#"{{"UserId":1,"more":"{}"}}"#, "x".repeat(65_536));
    check(checked(&long), None, "unavailable:too_large");

    let broken = checked(r#"{"UserId":1}"#)
        .rules(&rules(&json!([{"response_json": "/UserId"}])))
        .broken_off();

    check(broken, Some("1"), "response_json");
}

#[test]
fn a_response_that_no_rule_wants_is_not_read() {
    let unwanted = checked(r#"{"UserId":1}"#).status("401");
    let mut exchange = Exchange::default();
    let (mut correlator, stats) = (
        Correlator::new(Scope::Worker, STREAM, Rc::new(NoSharedData)),
        Stats::default(),
    );

    let mut services = Services {
        stream: &unwanted.stream,
        clock: &|| START,
        fresh_id: &|| None,
        correlator: &mut correlator,
        stats: &stats,
    };

    let _ = unwanted.recorder.handle_request_headers(
        &mut exchange,
        &view(&unwanted.headers),
        &mut services,
    );

    assert!(unwanted.recorder.handle_response(&mut exchange, false));
    for (status, expected) in [("401", 0), ("200", 100)] {
        let answer = [
            (":status", status.as_bytes()),
            ("content-type", b"application/json"),
        ];

        unwanted.recorder.handle_response_headers(
            &mut exchange,
            serialized(&answer),
            &unwanted.stream,
            &|| None,
        );
        unwanted.stream.chunk.replace(vec![b' '; 100]);
        unwanted
            .recorder
            .handle_response_body(&mut exchange, 100, false, &unwanted.stream);
        assert_eq!(unwanted.stream.fetched.get(), expected, "{status}");
    }
}

#[test]
fn the_first_source_that_has_a_value_counts() {
    let both = json!([{"header": "x-a"}, {"response_header": "x-b"}, {"header": "x-c"}]);
    let case = |request: &[(&str, &str)], response: &str| {
        Case::new("GET", "/")
            .rules(&rules(&both))
            .headers(request)
            .response_header("x-b", response)
    };

    check(
        case(&[("x-a", "1"), ("x-c", "3")], "2"),
        Some("1"),
        "header",
    );
    check(case(&[("x-c", "3")], "2"), Some("2"), "response_header");
    check(
        case(&[("x-a", " "), ("x-c", "3")], " "),
        Some("3"),
        "header",
    );
    check(case(&[], ""), None, "unavailable:absent");
}

#[test]
fn a_body_is_read_only_for_a_field_that_is_still_open() {
    let sources = json!([{"header": "x-a"}, {"response_header": "x-b"}, {"response_json": "/id"}, {"header": "x-c"}]);
    let case = || {
        Case::new("GET", "/")
            .rules(&rules(&sources))
            .json_body(r#"{"id":"json"}"#, 100)
    };

    check(case(), Some("json"), "response_json");
    check(case().headers(&[("x-a", "1")]), Some("1"), "header");
    check(
        case().response_header("x-b", "2"),
        Some("2"),
        "response_header",
    );
    check(
        case().headers(&[("x-c", "3")]),
        Some("json"),
        "response_json",
    );
    check(
        case().headers(&[("x-c", "3")]).json_body("[]", 1),
        Some("3"),
        "header",
    );
    check(case().json_body("no json", 3), None, "unavailable:not_json");
}

#[test]
fn only_a_trusted_peer_names_the_user_in_a_request() {
    let case = || {
        Case::new("GET", "/")
            .rules(&json!([{"name": "r"}]))
            .headers(&[("x-user-id", "alice")])
    };

    check(case(), Some("alice"), "header");

    let run = case().peer(UNTRUSTED).run();
    let identity = run.record.unwrap().identity;
    assert_eq!(
        (identity.user_id, identity.source.as_deref()),
        (None, Some("unavailable:absent"))
    );
    assert_eq!(
        (
            run.stats.counter(Counter::HeadersSpoofed),
            run.removed.len()
        ),
        (1, 0),
        "it is the upstream's header"
    );

    let unknown = case().peer(UNKNOWN).run();
    assert_eq!(unknown.warnings.len(), 1, "{:?}", unknown.warnings);

    let track = case().headers(&[TRACK]).peer(UNTRUSTED).run();
    assert_eq!(track.stats.counter(Counter::HeadersSpoofed), 2);
    assert_eq!(
        track
            .asked
            .iter()
            .filter(|asked| **asked == Property::DirectPeer)
            .count(),
        1,
        "judged once"
    );
}

#[test]
fn the_peer_is_judged_only_for_a_header_that_is_there_and_wanted() {
    let judged = |case: Case| {
        case.peer(UNTRUSTED)
            .run()
            .stats
            .counter(Counter::HeadersSpoofed)
            > 0
    };
    let any = json!([{"name": "r"}]);

    assert!(judged(
        Case::new("GET", "/")
            .rules(&any)
            .headers(&[("x-user-id", "a")])
    ));
    assert!(!judged(Case::new("GET", "/").rules(&any)));

    let other = rules(&json!([{"response_header": "x-user-id"}]));
    assert!(!judged(
        Case::new("GET", "/")
            .rules(&other)
            .headers(&[("x-user-id", "a")])
    ));
    assert!(
        !judged(Case::new("POST", "/no-rule").headers(&[("x-user-id", "a")])),
        "no rule records it"
    );
}

#[test]
fn metadata_and_certificates_name_users() {
    let sources =
        json!([{"metadata": "envoy.filters.http.jwt_authn:jwt:sub"}, {"peer_uri_san": true}]);
    let mut case = Case::new("GET", "/").rules(&rules(&sources));

    case.stream = case
        .stream
        .with_properties(&[(Property::PeerUriSan, "spiffe://mesh/a")]);
    case.stream
        .by_path
        .insert(MESH.to_owned(), b"alice".to_vec());
    check(case, Some("alice"), "metadata");

    let mut case = Case::new("GET", "/").rules(&rules(&sources));
    case.stream = case
        .stream
        .with_properties(&[(Property::PeerUriSan, "spiffe://mesh/a")]);
    check(case, Some("spiffe://mesh/a"), "peer_uri_san");

    let listed = json!([{"metadata": ["envoy.filters.http.jwt_authn", "jwt", "sub"]}]);
    let mut case = Case::new("GET", "/").rules(&rules(&listed));
    case.stream
        .by_path
        .insert(MESH.to_owned(), 42.0_f64.to_le_bytes().to_vec());
    check(case, Some("42"), "metadata");
}

#[test]
fn a_rule_replaces_field_by_field() {
    let config = json!({
        "identity": {"user_id": [{"header": "x-id"}], "user_name": [{"header": "x-name"}], "user_email": [{"header": "x-mail"}]},
        "rules": [{"name": "r", "identity": {"user_name": [{"header": "x-other"}], "user_email": []}}],
    });

    let headers = [
        ("x-id", "i"),
        ("x-name", "n"),
        ("x-other", "o"),
        ("x-mail", "m"),
    ];

    let identity = Case::new("GET", "/")
        .config(&config)
        .headers(&headers)
        .recorded()
        .identity;
    let found = [identity.user_id, identity.user_name, identity.user_email];
    let found: Vec<Option<&str>> = found.iter().map(|value| optional(value.as_ref())).collect();

    assert_eq!(found, [Some("i"), Some("o"), None]);
}

#[test]
fn the_source_is_that_of_the_first_field_that_has_sources() {
    let of = |identity: Value| {
        let rules = json!([{"name": "r", "identity": identity}]);
        let record = Case::new("GET", "/")
            .rules(&rules)
            .headers(&[("x-name", "n")])
            .recorded();
        record.identity.source.map(|source| source.into_owned())
    };
    let name = json!([{"header": "x-name"}]);

    assert_eq!(
        of(json!({"user_name": name})).as_deref(),
        Some("unavailable:absent"),
        "of the id"
    );
    assert_eq!(
        of(json!({"user_id": [], "user_name": name})).as_deref(),
        Some("header")
    );
    assert_eq!(of(json!({"user_id": []})), None, "nobody was asked for");
}

#[test]
fn a_receipt_names_whom_the_request_names() {
    let rules = |sources: Value| json!([{"name": "r", "require_audit": "buffered", "identity": {"user_id": sources}}]);
    let receipt = |sources: Value| {
        let case = Case::new("GET", "/")
            .rules(&rules(sources))
            .headers(&[("x-id", "alice")])
            .response_header("x-id", "bob");
        case.run().received.unwrap().identity
    };

    assert_eq!(
        optional(receipt(json!([{"header": "x-id"}])).user_id.as_ref()),
        Some("alice")
    );

    let of_the_response = receipt(json!([{"response_header": "x-id"}]));
    assert_eq!(
        (of_the_response.user_id, of_the_response.source),
        (None, None),
        "the response may still tell"
    );
}

#[test]
fn values_are_bounded() {
    let long = "x".repeat(10_000);
    let case = Case::new("GET", "/")
        .rules(&json!([{"name": "r"}]))
        .headers(&[("x-user-id", &long)]);

    assert_eq!(
        case.recorded().identity.user_id.unwrap().len(),
        bounds::MAX_NAME_BYTES
    );

    let body = format!(r#"{{"UserId":"{}"}}"#, "\u{f6}".repeat(10_000));
    let user = checked(&body).recorded().identity.user_id.unwrap();
    assert_eq!(text(&user), "\u{f6}".repeat(bounds::MAX_NAME_BYTES / 2));
}
