//! How exchanges end, and that each is recorded once.

use super::*;

#[test]
fn http_that_was_broken_off_is_aborted() {
    let rules = json!([{"name": "r"}]);
    let record = Case::new("GET", "/").rules(&rules).broken_off().recorded();

    assert_eq!(
        (record.outcome, record.http_status),
        (Some(Outcome::Aborted), Some(200))
    );

    let silent = Case::new("GET", "/")
        .rules(&rules)
        .stream(|stream| stream.with_headers(&[]));
    let record = silent.recorded();
    assert_eq!(
        (record.outcome, record.http_status),
        (Some(Outcome::Aborted), None)
    );
}

#[test]
fn a_status_that_is_none_is_no_status() {
    for status in ["", "abc", "70000", "2 0"] {
        let record = Case::new("GET", "/")
            .rules(&json!([{"name": "r"}]))
            .status(status)
            .recorded();

        assert_eq!(
            (record.outcome, record.http_status),
            (Some(Outcome::Aborted), None),
            "{status}"
        );
    }
}

#[test]
fn a_request_seen_only_at_its_end_has_envoys_times() {
    let begun = 1_600_000_000_000_000_001;
    let timed = |stream: FakeStream| {
        stream
            .with_number(Property::RequestTime, begun)
            .with_number(Property::RequestDuration, 7_000_000)
    };

    let run = Case::new("GET", "/x")
        .headers(&[TRACK, CONTEXT])
        .status("401")
        .unseen()
        .stream(timed)
        .run();
    let record = run.record.unwrap();

    assert_eq!(
        (record.start_unix_nanos, record.duration),
        (begun.unsigned_abs(), Duration::from_millis(7))
    );
    assert_eq!(
        record.outcome,
        Some(Outcome::Denied),
        "an answer made before the filter was sent whole"
    );
    assert_eq!(
        (run.removed, run.stats.counter(Counter::HeadersStripped)),
        (vec![], 0)
    );
}

#[test]
fn without_envoys_times_it_has_the_end() {
    let record = Case::new("GET", "/check").unseen().recorded();
    assert_eq!(
        (record.start_unix_nanos, record.duration),
        (END.unix_nanos, Duration::ZERO)
    );

    let negative = |stream: FakeStream| stream.with_number(Property::RequestTime, -1);
    let record = Case::new("GET", "/check")
        .unseen()
        .stream(negative)
        .recorded();

    assert_eq!(record.start_unix_nanos, END.unix_nanos);
}

#[test]
fn an_unseen_untrusted_peer_is_not_heard() {
    let run = Case::new("GET", "/x")
        .headers(&[TRACK, CONTEXT])
        .peer(UNTRUSTED)
        .unseen()
        .not_recorded();
    assert_eq!(run.stats.counter(Counter::HeadersSpoofed), 2);
}
