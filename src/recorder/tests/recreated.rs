//! Streams recreated by Envoy, and long exchanges.

use super::*;
use crate::record::Stage;
use crate::recorder::recreated::{MAX_WAITING, Recreated};

const RECREATED: &str = "internal_redirect";

/// The redirect of an exchange with this status.
fn redirected(status: &str) -> Case {
    Case::new("GET", "/login")
        .headers(&[TRACK, CONTEXT, ("x-request-id", "1")])
        .status(status)
        .ends(0, RECREATED)
}

#[test]
fn a_redirect_that_envoy_follows_is_no_end() {
    for status in ["302", "303", "307", ""] {
        let run = redirected(status).run();
        assert!(run.is_recreated && run.record.is_none(), "{status}");
        assert_eq!(run.stats.counter(Counter::Excluded), 0);
    }

    let run = redirected("403").run();
    let outcome = run.record.map(|record| record.outcome);

    assert_eq!(
        (run.is_recreated, outcome),
        (true, Some(Some(Outcome::Denied))),
        "custom_response sends a page instead"
    );
}

/// Runs the second stream of an exchange.
fn second(case: &Case, exchange: &mut Exchange, path: &str) -> (Vec<String>, Vec<String>) {
    let (stats, mut correlator) = (
        Stats::default(),
        Correlator::new(Scope::Worker, STREAM, Rc::new(NoSharedData)),
    );
    let stream = &case.stream;
    let (clock, fresh_id) = (&|| START, &|| Some(FRESH));
    let mut services = Services {
        stream,
        clock,
        fresh_id,
        correlator: &mut correlator,
        stats: &stats,
    };

    let headers = owned(&[
        (":method", "GET"),
        (":path", path),
        (":authority", "api.example.com"),
        TRACK,
    ]);
    let instructions =
        case.recorder
            .handle_recreated_request(exchange, &view(&headers), &mut services);
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let set = instructions.set.iter().map(|(name, _)| *name).collect();

    assert_eq!(
        instructions.require_audit,
        RequireAudit::None,
        "no second receipt"
    );
    assert_eq!(stats.counter(Counter::HeadersSpoofed), 0);
    (names(instructions.remove), names(set))
}

/// The exchange of a request at the end of its first stream.
fn begun(case: &Case, headers: &[(&str, &str)]) -> Exchange {
    let (stats, mut correlator) = (
        Stats::default(),
        Correlator::new(Scope::Worker, STREAM, Rc::new(NoSharedData)),
    );
    let stream = &case.stream;
    let (clock, fresh_id) = (&|| START, &|| Some(FRESH));
    let mut services = Services {
        stream,
        clock,
        fresh_id,
        correlator: &mut correlator,
        stats: &stats,
    };
    let mut exchange = Exchange::default();
    let all = [
        &[
            (":method", "GET"),
            (":path", "/login"),
            (":authority", "api.example.com"),
        ],
        headers,
    ]
    .concat();

    let _ = case
        .recorder
        .handle_request_headers(&mut exchange, &view(&owned(&all)), &mut services);
    exchange
}

#[test]
fn the_second_stream_goes_on_with_the_first_request() {
    let rules = json!([{"name": "r", "match": {"path": {"exact": "/login"}}, "correlate": true, "require_audit": "buffered"}]);
    let case = Case::new("GET", "/target").rules(&rules).status("403");
    let mut exchange = begun(&case, &[]);
    let (_, set) = second(&case, &mut exchange, "/target");

    assert_eq!(
        set,
        ["x-audit-stream-id", "x-audit-sequence-number"],
        "the same pair"
    );

    let ended = case
        .recorder
        .handle_end(&mut exchange, &case.stream, &|| END, &Stats::default());
    let record = ended.record.unwrap();

    assert_eq!(
        (&*record.rule, text(record.request.path()), record.outcome),
        ("r", "/login", Some(Outcome::Denied))
    );
    assert_eq!(record.correlation.map(|pair| pair.number), Some(0));
}

#[test]
fn headers_that_the_gateway_role_has_set_are_its_own() {
    let rules = json!([{"name": "edge", "match": {"path": {"exact": "/login"}}, "set_tracking": {"operation": "login"}}]);
    let case = Case::new("GET", "/login").rules(&rules).peer(UNTRUSTED);
    let mut exchange = begun(&case, &[]);
    assert_eq!(second(&case, &mut exchange, "/target"), (vec![], vec![]));
}

#[test]
fn a_marking_outlives_its_header() {
    let rules = json!([{"name": "r", "match": {"path": {"exact": "/target"}, "tracked": true}}]);
    let case = Case::new("GET", "/login").rules(&rules);
    let mut exchange = begun(&case, &[TRACK, CONTEXT]);
    second(&case, &mut exchange, "/target");

    let ended = case
        .recorder
        .handle_end(&mut exchange, &case.stream, &|| END, &Stats::default());

    assert_eq!(
        ended
            .record
            .map(|record| record.rule.to_string())
            .as_deref(),
        Some("r")
    );
}

fn headers<'h>(pairs: &[(&'h str, &'h str)]) -> Headers<'h> {
    pairs
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect()
}

/// A stream with this request at its end.
fn ending(request_id: &str, path: &str) -> FakeStream {
    let pairs = [("x-request-id", request_id), (":path", path)];
    let request_headers = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();

    FakeStream {
        request_headers,
        ..FakeStream::default()
    }
    .with_number(Property::ConnectionId, 7)
}

#[test]
fn an_exchange_is_found_by_connection_and_request() {
    let mut waiting = Recreated::default();
    for (number, (id, path)) in [("a", "/1"), ("b", "/2"), ("b", "/3"), ("", "/4")]
        .into_iter()
        .enumerate()
    {
        assert!(
            waiting
                .suspend(
                    Exchange::default(),
                    number,
                    &ending(id, path),
                    Duration::ZERO
                )
                .is_none()
        );
    }

    let mut find = |id: &str, path: &str, connection| {
        let pairs = [("x-request-id", id), (":path", path)];
        let pairs = if id.is_empty() {
            &pairs[1..]
        } else {
            &pairs[..]
        };

        waiting
            .resume(&headers(pairs), connection)
            .map(|(_, number)| number)
    };

    assert_eq!(find("a", "/1", Some(8)), None, "another connection");
    assert_eq!(find("c", "/1", Some(7)), None, "another request");
    assert_eq!(find("a", "/2", Some(7)), None, "another path");
    assert_eq!(find("a", "/1", Some(7)), Some(0));
    assert_eq!(find("b", "/3", Some(7)), Some(2));
    assert_eq!(
        find("", "/5", Some(7)),
        None,
        "without an id the path decides"
    );
    assert_eq!(find("", "/4", Some(7)), Some(3));
    assert_eq!(find("a", "/1", Some(7)), None, "gone");
}

#[test]
fn waiting_has_bounds() {
    let mut waiting = Recreated::default();
    for number in 0..MAX_WAITING {
        assert!(
            waiting
                .suspend(
                    Exchange::default(),
                    number,
                    &ending("a", "/"),
                    Duration::ZERO
                )
                .is_none()
        );
    }

    let late = Duration::from_secs(59);
    let pushed_out = waiting.suspend(Exchange::default(), MAX_WAITING, &ending("a", "/"), late);

    assert_eq!(pushed_out.map(|(_, number)| number), Some(0));
    assert!(waiting.expire(late).is_none());

    let mut expired = 0;
    while waiting.expire(Duration::from_secs(60)).is_some() {
        expired += 1;
    }

    assert_eq!(expired, MAX_WAITING - 1);
}

#[test]
fn an_exchange_that_never_goes_on_is_aborted() {
    let case = Case::new("GET", "/login").rules(&json!([{"name": "all"}]));
    let mut exchange = begun(&case, &[]);
    let ended = case.recorder.handle_end(
        &mut exchange,
        &crate::host::Gone,
        &|| END,
        &Stats::default(),
    );
    assert_eq!(ended.record.unwrap().outcome, Some(Outcome::Aborted));
}

#[test]
fn a_long_exchange_has_a_record_of_its_start() {
    let rules = json!([{"name": "all", "record_on": ["failure", "success"]}]);
    let case = Case::new("GET", "/ws").rules(&rules).status("403");
    let mut exchange = begun(&case, &[]);

    assert_eq!(case.recorder.started_after(), Some(Duration::from_secs(60)));
    assert_eq!(case.recorder.watched_from(&exchange), Some(START.uptime));

    let started = case.recorder.started(&mut exchange, &case.stream).unwrap();
    assert_eq!(
        (started.stage, started.outcome, text(started.action())),
        (Stage::Started, None, "GET /login")
    );

    exchange.started(Some(41));
    assert_eq!(case.recorder.watched_from(&exchange), None, "one is enough");

    let ended = case
        .recorder
        .handle_end(&mut exchange, &case.stream, &|| END, &Stats::default());
    let record = ended
        .record
        .expect("its end is recorded, though no rule wants a denial");

    assert_eq!(
        (record.stage, record.started_number, record.outcome),
        (Stage::Complete, Some(41), Some(Outcome::Denied))
    );
}

#[test]
fn only_what_may_succeed_or_break_off_is_watched() {
    let watched = |sections: &Value| {
        let case = Case::new("GET", "/login").config(sections);
        case.recorder.watched_from(&begun(&case, &[])).is_some()
    };

    assert!(watched(
        &json!({"rules": [{"name": "r", "record_on": ["success"]}]})
    ));
    assert!(watched(
        &json!({"rules": [{"name": "r", "record_on": ["aborted"]}]})
    ));
    assert!(!watched(
        &json!({"rules": [{"name": "r", "record_on": ["denied", "failure"]}]})
    ));
    assert!(!watched(
        &json!({"rules": [{"name": "r", "level": "none"}]})
    ));
    assert!(!watched(
        &json!({"rules": [{"name": "r"}], "stages": {"started_after": "0s"}})
    ));
}

#[test]
fn each_request_is_seen_once() {
    let seen = |case: Case| case.run().stats.counter(Counter::RequestsSeen);
    assert_eq!(seen(Case::new("GET", "/nothing/matches")), 1);
    assert_eq!(seen(Case::new("POST", "/login").headers(&[TRACK])), 1);
    assert_eq!(seen(Case::new("POST", "/login").unseen()), 1);

    let stats = Stats::default();
    let case = Case::new("GET", "/target");
    let mut correlator = Correlator::new(Scope::Worker, STREAM, Rc::new(NoSharedData));
    let mut services = Services {
        stream: &case.stream,
        clock: &|| START,
        fresh_id: &|| Some(FRESH),
        correlator: &mut correlator,
        stats: &stats,
    };
    let headers = owned(&[(":method", "GET"), (":path", "/target")]);
    let mut exchange = Exchange::default();
    let _ = case
        .recorder
        .handle_recreated_request(&mut exchange, &view(&headers), &mut services);
    assert_eq!(stats.counter(Counter::RequestsSeen), 0);
}
