//! The two rules used if none are configured.

use super::*;

#[test]
fn a_check_is_recorded() {
    let record = Case::new("GET", "/check").recorded();
    assert_eq!(
        (&*record.rule, text(record.action())),
        ("check", "GET /check")
    );
    assert_eq!(
        (record.outcome, record.protocol),
        (Some(Outcome::Success), Protocol::Http)
    );
    assert_eq!(
        (
            text(record.request.method()),
            text(record.request.path()),
            text(record.request.host())
        ),
        ("GET", "/check", "api.example.com")
    );
    assert_eq!(
        (record.http_status, record.rpc, record.route),
        (Some(200), None, None)
    );
    assert_eq!(
        (record.start_unix_nanos, record.duration),
        (START.unix_nanos, Duration::from_millis(250))
    );
    assert_eq!(optional(record.client_address.as_ref()), Some("127.0.0.1"));
    assert_eq!(
        (record.context, record.header_conflict, record.trace),
        (None, false, None)
    );
}

#[test]
fn a_check_that_was_not_passed_is_excluded() {
    for status in ["401", "403", "404", "500", "302", "204", "201"] {
        let run = Case::new("GET", "/check").status(status).not_recorded();
        assert_eq!(run.stats.counter(Counter::Excluded), 1, "{status}");
    }
    let run = Case::new("GET", "/check").broken_off().not_recorded();
    assert_eq!(run.stats.counter(Counter::Excluded), 1);
}

#[test]
fn what_no_rule_matches_is_not_even_excluded() {
    for (method, path) in [
        ("POST", "/check"),
        ("HEAD", "/check"),
        ("get", "/check"),
        ("GET", "/checks"),
        ("GET", "/check/"),
        ("GET", "/Check"),
        ("GET", "/a/check"),
        ("GET", "/check%2F"),
        ("GET", "/?/check"),
        ("GET", ""),
        ("GET", "*"),
    ] {
        let run = Case::new(method, path).not_recorded();
        let seen = Stats::default();
        seen.add(Counter::RequestsSeen, 1);
        assert_eq!(run.stats, seen, "{method} {path}");
        assert_eq!(
            (run.asked, run.removed),
            (vec![], vec![]),
            "{method} {path}"
        );
    }
}

#[test]
fn other_spellings_of_the_path_are_the_same_path() {
    for path in [
        "/check?x=1",
        "//check",
        "/%63heck",
        "/a/../check",
        "/./check",
        "/a/%2e%2e/check#top",
        "/../check",
    ] {
        let record = Case::new("GET", path).recorded();
        assert_eq!(
            (text(record.request.path()), text(record.action())),
            ("/check", "GET /check"),
            "{path}"
        );
    }
}

#[test]
fn disabled_records_nothing_and_still_strips() {
    let headers = [
        TRACK,
        CONTEXT,
        ("x-session-operation", "o"),
        ("x-audit-stream-id", "forged"),
    ];
    let off = json!({"enabled": false});
    let run = Case::new("GET", "/check")
        .config(&off)
        .headers(&headers)
        .not_recorded();

    assert_eq!(
        run.removed,
        [
            "x-session-track",
            "x-session-operation",
            "x-audit-stream-id"
        ]
    );
    assert_eq!(run.stats.counter(Counter::Excluded), 0);

    let run = Case::new("GET", "/check")
        .config(&off)
        .headers(&headers)
        .peer(UNTRUSTED)
        .not_recorded();

    assert_eq!(
        (
            run.removed.len(),
            run.stats.counter(Counter::HeadersSpoofed)
        ),
        (4, 3)
    );
}
