//! Headers sent to the next hop: the gateway role, and the correlation headers.

use super::*;
use crate::recorder::correlation::Correlation;

fn edge(context: &Value) -> Value {
    json!([{"name": "edge", "match": {"path": {"prefix": "/account"}},
        "set_tracking": {"operation": "account.change", "context": context}}])
}

fn set(run: &Run) -> Vec<(&str, &str)> {
    run.set
        .iter()
        .map(|(name, value)| (name.as_str(), text(value)))
        .collect()
}

#[test]
fn the_gateway_says_what_the_next_hop_records() {
    let context = json!({
        "device_id": {"header": "x-device-id"}, "theme": {"cookie": "theme"}, "gone": {"header": "x-gone"},
        "user": {"metadata": "envoy.filters.http.jwt_authn:jwt:sub"},
        "peer": {"peer_address": true}, "who": {"peer_uri_san": true},
    });
    let mut case = Case::new("POST", "/account/7").rules(&edge(&context));

    case = case.headers(&[
        ("x-device-id", "d\"1"),
        ("cookie", "theme=dark; session=secret"),
    ]);
    case.stream = case
        .stream
        .with_properties(&[(Property::PeerUriSan, "spiffe://mesh/a")]);
    case.stream.by_path.insert(
        "metadata\0filter_metadata\0envoy.filters.http.jwt_authn\0jwt\0sub".to_owned(),
        b"alice".to_vec(),
    );

    let run = case.not_recorded();
    let expected = r#"{"device_id":"d\"1","peer":"127.0.0.1","theme":"dark","user":"alice","who":"spiffe://mesh/a"}"#;

    assert_eq!(
        set(&run)[..2],
        [
            ("x-session-track", "true"),
            ("x-session-operation", "account.change")
        ]
    );

    let (name, encoded) = set(&run)[2];
    assert_eq!(
        (name, encoded),
        ("x-session-context", base64(expected).as_str())
    );
}

/// Base64 with the alphabet of RFC 4648, table 1.
fn base64(text: &str) -> String {
    use base64ct::Encoding as _;
    base64ct::Base64::encode_string(text.as_bytes())
}

#[test]
fn a_context_without_values_is_still_a_context() {
    let run = Case::new("POST", "/account")
        .rules(&edge(&json!({"gone": {"cookie": "gone"}})))
        .not_recorded();
    assert_eq!(
        set(&run)[2],
        ("x-session-context", "e30="),
        "the next hop skips an empty one"
    );
    assert_eq!(run.stats.counter(Counter::Excluded), 1);
}

#[test]
fn a_field_that_would_make_the_context_too_long_is_left_out() {
    let context =
        json!({"a": {"header": "x-long"}, "b": {"header": "x-short"}, "c": {"header": "x-long"}});
    let with_limit = |max_context_bytes: usize| {
        let config =
            json!({"rules": edge(&context), "tracking": {"max_context_bytes": max_context_bytes}});
        let headers = [("x-long", "0123456789"), ("x-short", "s")];
        let run = Case::new("POST", "/account")
            .config(&config)
            .headers(&headers)
            .not_recorded();
        set(&run)[2].1.to_owned()
    };
    let whole = base64(r#"{"a":"0123456789","b":"s","c":"0123456789"}"#);
    assert_eq!(with_limit(whole.len()), whole);

    let shorter = with_limit(whole.len() - 1);
    assert_eq!(shorter, base64(r#"{"a":"0123456789","b":"s"}"#));
    assert_eq!(
        with_limit(shorter.len() - 1),
        base64(r#"{"a":"0123456789"}"#)
    );
    assert_eq!(
        with_limit(20),
        base64(r#"{"b":"s"}"#),
        "what is short may still fit"
    );
}

#[test]
fn the_gateway_speaks_for_everybody_and_only_where_its_rule_says_so() {
    let forged = [TRACK, CONTEXT, ("x-session-operation", "forged")];
    let run = Case::new("POST", "/account")
        .rules(&edge(&json!({})))
        .headers(&forged)
        .peer(UNTRUSTED)
        .not_recorded();

    assert_eq!(run.removed.len(), 3);
    assert_eq!(set(&run).len(), 3);

    let other = Case::new("POST", "/other")
        .rules(&edge(&json!({})))
        .headers(&forged)
        .peer(UNTRUSTED)
        .not_recorded();

    assert_eq!((other.removed.len(), other.set.len()), (3, 0));

    let disabled = json!({"enabled": false, "rules": edge(&json!({}))});
    assert!(
        Case::new("POST", "/account")
            .config(&disabled)
            .not_recorded()
            .set
            .is_empty()
    );
    assert!(
        Case::new("POST", "/account")
            .rules(&edge(&json!({})))
            .unseen()
            .not_recorded()
            .set
            .is_empty()
    );
}

#[test]
fn a_context_in_trailers_gives_way_to_that_of_the_gateway() {
    let with_trailers = |path: &'static str| {
        let mut case = Case::new("POST", path).rules(&edge(&json!({})));
        case.trailers = owned(&[TRACK, CONTEXT]);
        case.run().removed_from_trailers
    };

    assert_eq!(
        with_trailers("/account"),
        ["x-session-track", "x-session-context"]
    );
    assert_eq!(with_trailers("/other"), ["x-session-track"]);
}

#[test]
fn a_gateway_records_only_when_told_to() {
    let rules = |more: Value| {
        let mut rule = edge(&json!({}))[0].clone();
        rule.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!([rule])
    };

    Case::new("POST", "/account")
        .rules(&rules(json!({"level": "metadata"})))
        .rule(Some("edge"));
    Case::new("POST", "/account")
        .rules(&rules(json!({"level": "none"})))
        .rule(None);
}

#[test]
fn the_pair_goes_upstream_and_into_the_record() {
    let rules = json!([{"name": "r", "match": {"path": {"prefix": "/api"}}, "correlate": true}, {"name": "other"}]);
    let run = Case::new("GET", "/api")
        .rules(&rules)
        .headers(&[("x-audit-stream-id", "forged")])
        .run();

    assert_eq!(run.removed, ["x-audit-stream-id"]);
    assert_eq!(
        set(&run),
        [
            ("x-audit-stream-id", STREAM.to_string().as_str()),
            ("x-audit-sequence-number", "0")
        ]
    );
    assert_eq!(
        run.record.unwrap().correlation,
        Some(Correlation {
            session_id: STREAM,
            number: 0
        })
    );

    let run = Case::new("GET", "/else").rules(&rules).run();
    assert_eq!((run.set.len(), run.record.unwrap().correlation), (0, None));
    assert_eq!(
        Case::new("GET", "/api")
            .rules(&rules)
            .unseen()
            .recorded()
            .correlation,
        None,
        "it went nowhere"
    );
}

#[test]
fn the_names_of_the_pair_are_configured() {
    let config = json!({
        "correlation": {"session_id_header": "X-Coder-Agent-Firewall-Session-Id",
            "sequence_header": "X-Coder-Agent-Firewall-Sequence-Number"},
        "rules": [{"name": "r", "correlate": true}],
    });
    let run = Case::new("GET", "/").config(&config).run();
    let names: Vec<&str> = set(&run).iter().map(|(name, _)| *name).collect();

    assert_eq!(
        names,
        [
            "x-coder-agent-firewall-session-id",
            "x-coder-agent-firewall-sequence-number"
        ]
    );
}
