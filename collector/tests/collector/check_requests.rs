//! `check-config`: the dry run of a request, and what `--explain` hides.

use crate::check_config::check;

/// What a dry run prints for one header.
#[track_caller]
fn dry_run(text: &str, request: &str, headers: &[&str]) -> String {
    let headers = headers.iter().flat_map(|header| ["--header", header]);
    let arguments: Vec<&str> = ["--request", request].into_iter().chain(headers).collect();
    check(text, &arguments).1
}

const TRACK: &str = "x-session-track: true";
const CONTEXT: &str = "x-session-context: c";

#[test]
fn a_tracked_request_without_a_context_is_skipped() {
    let text = "audit_cluster: {cluster: a}\n";
    let out = dry_run(text, "POST /v1/x", &[TRACK]);
    assert!(
        out.contains("tracked: decides: it is not recorded, since it has no context"),
        "{out}"
    );
    for track in [TRACK, "x-session-track: false, true"] {
        let out = dry_run(text, "POST /v1/x", &[track, CONTEXT]);
        assert!(out.contains("tracked: decides: it is recorded"), "{out}");
    }
    let text = "audit_cluster: {cluster: a}\nrules: [{name: t, match: {tracked: true}, record_on: [success]}, {name: all}]\n";
    let out = dry_run(text, "POST /v1/x", &[TRACK]);
    assert!(out.contains("all: decides: it is recorded"), "{out}");
}

#[test]
fn a_rule_of_level_none_records_no_end_that_others_leave() {
    let text = "audit_cluster: {cluster: a}\nrules:
- {name: fails, match: {path: {prefix: /api}}, record_on: [failure]}
- {name: quiet, match: {path: {prefix: /api}}, level: none}
- {name: last}
";
    let out = dry_run(text, "POST /api/x", &[TRACK, CONTEXT]);
    assert!(
        out.contains("quiet: decides about ends that no rule before records: it is not recorded"),
        "{out}"
    );
    assert!(out.contains("last: does not matter"), "{out}");
}

#[test]
fn correlation_headers_of_a_client_and_own_batches_count_for_nothing() {
    let text = "audit_cluster: {cluster: a, headers: {authorization: token}}
rules: [{name: r, match: {headers: [{name: x-audit-stream-id, present: true}]}}, {name: all}]
";
    let out = dry_run(text, "GET /", &["x-audit-stream-id: 1"]);
    assert!(out.contains("r: does not match: match.headers"), "{out}");
    let marks = [
        "user-agent: audit-filter/1",
        "idempotency-key: k",
        "authorization: token",
    ];
    let out = dry_run(text, "POST /v1/logs", &marks);
    assert!(
        out.contains("it is a batch of this filter: it is not recorded"),
        "{out}"
    );
    let out = dry_run(text, "POST /v1/logs", &marks[..2]);
    assert!(out.contains("all: decides: it is recorded"), "{out}");
}

#[test]
fn what_is_no_request_is_refused() {
    let text = "audit_cluster: {cluster: a}\n";
    for arguments in [
        ["--request", "POST /v1/password HTTP/1.1"].as_slice(),
        &["--request", "GET /", "--header", ": z"],
        &["--request", "GET /", "--header", ":authority: z"],
    ] {
        assert_eq!(check(text, arguments).0, Some(2), "{arguments:?}");
    }
}

#[test]
fn no_part_of_a_secret_is_shown() {
    let text = "
audit_cluster:
  cluster: a
  path: /services/collector/raw?token=SECRET1
  headers: {authorization: 'Splunk SECRET2${SUFFIX}', x-plain: 'Bearer ${TOKEN}'}
session: {hmac_keys: [{id: k, key: 'SECRET4SECRET4SECRET4SECRET4SECRET4${X}'}]}
rules:
- name: r
  match: {headers: [{name: x-api-key, exact: SECRET5}]}
  tags: {password: SECRET6, team: blue}
";
    let (code, out) = check(text, &["--explain"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(!out.contains("SECRET"), "{out}");
    for shown in [
        "Bearer ${TOKEN}",
        "/services/collector/raw?(hidden)",
        "x-api-key",
        "blue",
    ] {
        assert!(out.contains(shown), "{shown}: {out}");
    }
}

#[test]
fn defaults_that_depend_on_others_are_those_that_hold() {
    let (_, out) = check(
        "audit_cluster: {cluster: a, authority: ''}\nservice: ''\nrules: [{name: r, set_tracking: {}}]\n",
        &["--explain"],
    );
    for shown in [
        "\"service\": \"unknown-service\"",
        "\"immediate_reserve_percent\": 0",
        "\"level\": \"metadata\"",
        "\"authority\": \"a\"",
    ] {
        assert!(out.contains(shown), "{shown}: {out}");
    }
}

#[test]
fn each_object_of_json_names_its_file() {
    let (_, out) = check(
        "audit_cluster: {cluster: a}\n",
        &["--format", "json", "--explain", "--request", "GET /"],
    );
    for line in out.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(object["file"], "-", "{line}");
    }
}
