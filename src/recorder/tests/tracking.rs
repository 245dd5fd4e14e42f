//! The control headers of a trusted peer.

use super::*;

#[test]
fn a_tracked_request_is_recorded_with_its_context() {
    let headers = [TRACK, CONTEXT, ("x-session-operation", "password.change")];
    let case = Case::new("POST", "/login").headers(&headers).status("401");
    let run = case.run();
    let record = run.record.unwrap();

    assert_eq!(
        (&*record.rule, record.outcome),
        ("tracked", Some(Outcome::Denied))
    );
    assert_eq!(record.context, Some(Context::Whole(b"device=1".to_vec())));
    assert_eq!(
        (text(record.action()), record.header_conflict),
        ("password.change", false)
    );
    assert_eq!(
        run.removed,
        ["x-session-track", "x-session-operation"],
        "the context is for the upstream"
    );
    assert_eq!(run.stats.counter(Counter::HeadersStripped), 2);
    assert_eq!(run.stats.counter(Counter::HeadersSpoofed), 0);
}

#[test]
fn anything_but_true_is_not_tracked_and_still_removed() {
    for value in ["false", "TRUE", "True", "1", "yes", "", "true;", "\"true\""] {
        let run = Case::new("POST", "/login")
            .headers(&[("x-session-track", value), CONTEXT])
            .not_recorded();

        assert_eq!(run.removed, ["x-session-track"], "{value}");
        assert_eq!(
            run.stats.counter(Counter::SkippedEmptyContext),
            0,
            "{value}"
        );
    }

    let run = Case::new("POST", "/login")
        .headers(&[("x-session-operation", "o"), CONTEXT])
        .not_recorded();

    assert_eq!(run.removed, ["x-session-operation"]);
    assert_eq!(
        Case::new("POST", "/login")
            .headers(&[CONTEXT])
            .not_recorded()
            .removed,
        [""; 0]
    );
}

#[test]
fn an_empty_context_is_skipped_and_counted() {
    for headers in [
        &[TRACK][..],
        &[TRACK, ("x-session-context", "")],
        &[TRACK, ("x-session-context", " ")],
    ] {
        let run = Case::new("POST", "/login").headers(headers).not_recorded();
        assert_eq!(run.stats.counter(Counter::SkippedEmptyContext), 1);
        assert_eq!(run.stats.counter(Counter::Excluded), 0);

        let keep = json!({"tracking": {"on_empty_context": "record"}});
        let record = Case::new("POST", "/login")
            .config(&keep)
            .headers(headers)
            .recorded();

        assert_eq!((&*record.rule, record.context), ("tracked", None));
    }

    let record = Case::new("GET", "/check").headers(&[TRACK]).recorded();
    assert_eq!(&*record.rule, "check", "other rules need no context");
}

#[test]
fn duplicates() {
    for (values, is_recorded, conflict) in [
        (&["false", "true"][..], true, true),
        (&["true", "true"], true, false),
        (&["false,true"], true, true),
        (&["a", "b"], false, false),
    ] {
        let case = values.iter().fold(Case::new("GET", "/"), |case, value| {
            case.headers(&[("x-session-track", value)])
        });
        let record = case.headers(&[CONTEXT]).run().record;

        assert_eq!(
            record.map(|record| record.header_conflict),
            is_recorded.then_some(conflict),
            "{values:?}"
        );
    }

    let doubled = [
        TRACK,
        CONTEXT,
        ("x-session-context", "last"),
        ("x-session-operation", "a"),
        ("x-session-operation", "b"),
    ];
    let record = Case::new("GET", "/").headers(&doubled).recorded();

    assert_eq!(record.context, Some(Context::Whole(b"last".to_vec())));
    assert_eq!((text(record.action()), record.header_conflict), ("b", true));

    let same = [TRACK, CONTEXT, CONTEXT];
    assert!(
        !Case::new("GET", "/")
            .headers(&same)
            .recorded()
            .header_conflict
    );
}

#[test]
fn a_long_context_is_hashed() {
    let limit = json!({"tracking": {"max_context_bytes": 3}});
    let context = |value: &str| {
        let headers = [TRACK, ("x-session-context", value)];
        Case::new("GET", "/")
            .config(&limit)
            .headers(&headers)
            .recorded()
            .context
            .unwrap()
    };

    assert_eq!(context("abc"), Context::Whole(b"abc".to_vec()));

    let sha256 = "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589".to_owned();
    assert_eq!(context("abcd"), Context::Hashed { sha256, length: 4 });
}

#[test]
fn the_context_is_removed_when_asked() {
    let strip = json!({"tracking": {"strip_context": true}});
    let run = Case::new("GET", "/")
        .config(&strip)
        .headers(&[TRACK, CONTEXT])
        .run();

    assert_eq!(run.removed, ["x-session-track", "x-session-context"]);
    assert_eq!(
        run.record.unwrap().context,
        Some(Context::Whole(b"device=1".to_vec()))
    );
}

#[test]
fn names_are_configured() {
    let names = json!({"tracking": {"track_header": "X-T", "operation_header": "x-o", "context_header": "x-c"}});
    let headers = [("x-t", "true"), ("x-o", "o"), ("x-c", "c"), TRACK];
    let run = Case::new("GET", "/").config(&names).headers(&headers).run();
    assert_eq!(run.removed, ["x-t", "x-o"]);
    assert_eq!(text(run.record.unwrap().action()), "o");
}

#[test]
fn correlation_headers_are_removed_from_every_request() {
    let headers = [("x-audit-stream-id", "a"), ("x-audit-sequence-number", "1")];
    let run = Case::new("GET", "/nothing")
        .headers(&headers)
        .not_recorded();

    assert_eq!(
        run.removed,
        ["x-audit-stream-id", "x-audit-sequence-number"]
    );
    assert_eq!(
        (run.asked, run.stats.counter(Counter::HeadersSpoofed)),
        (vec![], 0)
    );
}

#[test]
fn request_trailers_are_stripped() {
    for (peer, expected, spoofed) in [
        (TRUSTED, vec!["x-session-track", "x-session-operation"], 0),
        (
            UNTRUSTED,
            vec![
                "x-session-track",
                "x-session-operation",
                "x-session-context",
            ],
            3,
        ),
    ] {
        let mut case = Case::new("POST", "/a.B/C").peer(peer);
        case.trailers = owned(&[TRACK, ("x-session-operation", "o"), CONTEXT, ("other", "x")]);

        let run = case.not_recorded();
        assert_eq!(
            (run.removed_from_trailers, run.removed),
            (expected.iter().map(ToString::to_string).collect(), vec![])
        );
        assert_eq!(run.stats.counter(Counter::HeadersSpoofed), spoofed);
        assert_eq!(
            run.stats.counter(Counter::HeadersStripped),
            expected.len() as u64
        );
    }
}
