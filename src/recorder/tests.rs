//! Whole exchanges through the recorder, with configurations as an operator writes them.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::exchange::Exchange;
use super::fake::FakeStream;
use super::grpc::StatusSource;
use super::headers::Headers;
use super::tracking::Context;
use super::{Recorder, exchange};
use crate::host::Property;
use crate::record::{ExchangeRecord, Outcome, Protocol};
use crate::stats::{Counter, Stats};
use crate::time::Now;

const START: Now = Now { unix_nanos: 1_700_000_000_000_000_000, uptime: Duration::from_secs(100) };
const END: Now = Now { unix_nanos: START.unix_nanos + 250_000_000, uptime: Duration::from_millis(100_250) };
const TRUSTED: &str = "10.1.2.3:4567";
const UNTRUSTED: &str = "203.0.113.9:4567";
const UNKNOWN: &str = "10.1.2.3:0";
const TRACK: (&str, &str) = ("x-session-track", "true");
const CONTEXT: (&str, &str) = ("x-session-context", "device=1");

/// One exchange: what the client sends, what the stream answers, how it ends.
struct Case {
    recorder: Recorder,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
    stream: FakeStream,
    is_complete: bool,
    is_seen: bool,
}

/// What became of it.
struct Run {
    record: Option<Box<ExchangeRecord>>,
    removed: Vec<String>,
    peer_unknown: bool,
    removed_from_trailers: Vec<String>,
    asked: Vec<Property>,
    stats: Stats,
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn view(pairs: &[(Vec<u8>, Vec<u8>)]) -> Headers<'_> {
    pairs.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect()
}

impl Case {
    /// A request with the default rules from a trusted peer, answered with a whole 200.
    fn new(method: &str, path: &str) -> Self {
        Self {
            recorder: recorder(&json!({})),
            headers: owned(&[(":method", method), (":path", path), (":authority", "api.example.com")]),
            trailers: Vec::new(),
            stream: FakeStream::default()
                .with_properties(&[(Property::SourceAddress, TRUSTED)])
                .with_headers(&[(":status", "200")]),
            is_complete: true,
            is_seen: true,
        }
    }

    fn grpc() -> Self {
        Self::new("POST", "/shop.Users/Delete").headers(&[("content-type", "application/grpc"), TRACK, CONTEXT])
    }

    /// The sections of a configuration beside `audit_cluster`.
    fn config(mut self, sections: &Value) -> Self {
        self.recorder = recorder(sections);
        self
    }

    fn rules(self, rules: &Value) -> Self {
        self.config(&json!({"rules": rules}))
    }

    fn headers(mut self, pairs: &[(&str, &str)]) -> Self {
        self.headers.extend(owned(pairs));
        self
    }

    fn raw(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.push((name.as_bytes().to_vec(), value.to_vec()));
        self
    }

    fn peer(mut self, source: &str) -> Self {
        self.stream = self.stream.with_properties(&[(Property::SourceAddress, source)]);
        self
    }

    fn status(mut self, status: &str) -> Self {
        self.stream = self.stream.with_headers(&[(":status", status)]);
        self
    }

    fn stream(mut self, change: impl FnOnce(FakeStream) -> FakeStream) -> Self {
        self.stream = change(self.stream);
        self
    }

    fn broken_off(mut self) -> Self {
        self.is_complete = false;
        self
    }

    fn unseen(mut self) -> Self {
        self.is_seen = false;
        self
    }

    fn run(self) -> Run {
        let (mut exchange, mut stats) = (Exchange::default(), Stats::default());
        let (headers, trailers) = (view(&self.headers), view(&self.trailers));
        let mut run = Run {
            record: None,
            removed: Vec::new(),
            peer_unknown: false,
            removed_from_trailers: Vec::new(),
            asked: Vec::new(),
            stats: Stats::default(),
        };
        let texts = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        if self.is_seen {
            let instructions =
                self.recorder.handle_request_headers(&mut exchange, &headers, &self.stream, || START, &mut stats);
            run.removed = texts(instructions.remove);
            run.peer_unknown = instructions.peer_unknown;
            if !self.trailers.is_empty() {
                let names = self.recorder.handle_request_trailers(&mut exchange, &trailers, &self.stream, &mut stats);
                run.removed_from_trailers = texts(names);
            }
            if self.is_complete {
                exchange.handle_response_complete();
            }
        } else {
            self.recorder.handle_unseen_request(&mut exchange, &headers, &self.stream, &mut stats);
        }
        assert!(exchange.is_seen());
        run.record = self.recorder.handle_end(&mut exchange, &self.stream, || END, &mut stats);
        let again = self.recorder.handle_end(&mut exchange, &self.stream, || END, &mut stats);
        assert!(again.is_none(), "a second end makes a second record");
        run.asked = self.stream.asked.take();
        run.stats = stats;
        run
    }

    #[track_caller]
    fn recorded(self) -> ExchangeRecord {
        *self.run().record.expect("nothing was recorded")
    }

    #[track_caller]
    fn not_recorded(self) -> Run {
        let run = self.run();
        assert!(run.record.is_none(), "{:?}", run.record);
        run
    }

    #[track_caller]
    fn rule(self, expected: Option<&str>) {
        let record = self.run().record;
        assert_eq!(record.as_ref().map(|record| &*record.rule), expected);
    }
}

fn recorder(sections: &Value) -> Recorder {
    let mut config = json!({"audit_cluster": {"cluster": "audit"}});
    config.as_object_mut().unwrap().extend(sections.as_object().unwrap().clone());
    Recorder::new(crate::config::parse(config.to_string().as_bytes(), &|_| None).unwrap().recorder)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn optional(bytes: Option<&Vec<u8>>) -> Option<&str> {
    bytes.map(|bytes| text(bytes))
}

mod default_rules {
    use super::*;

    #[test]
    fn a_check_is_recorded() {
        let record = Case::new("GET", "/check").recorded();
        assert_eq!((&*record.rule, text(&record.action)), ("check", "GET /check"));
        assert_eq!((record.outcome, record.protocol), (Outcome::Success, Protocol::Http));
        assert_eq!(
            (text(&record.method), text(&record.path), text(&record.host)),
            ("GET", "/check", "api.example.com")
        );
        assert_eq!((record.http_status, record.rpc, record.route), (Some(200), None, None));
        assert_eq!((record.start_unix_nanos, record.duration), (START.unix_nanos, Duration::from_millis(250)));
        assert_eq!(optional(record.client_address.as_ref()), Some("10.1.2.3"));
        assert_eq!((record.context, record.header_conflict, record.trace), (None, false, None));
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
            assert_eq!(run.stats, Stats::default(), "{method} {path}");
            assert_eq!((run.asked, run.removed), (vec![], vec![]), "{method} {path}");
        }
        Case::new("GET", "/check").headers(&[("content-type", "application/grpc")]).rule(None);
    }

    #[test]
    fn other_spellings_of_the_path_are_the_same_path() {
        for path in ["/check?x=1", "//check", "/%63heck", "/a/../check", "/./check", "/a/%2e%2e/check#top", "/../check"]
        {
            let record = Case::new("GET", path).recorded();
            assert_eq!((text(&record.path), text(&record.action)), ("/check", "GET /check"), "{path}");
        }
    }

    #[test]
    fn disabled_records_nothing_and_still_strips() {
        let headers = [TRACK, CONTEXT, ("x-session-operation", "o"), ("x-audit-stream-id", "forged")];
        let off = json!({"enabled": false});
        let run = Case::new("GET", "/check").config(&off).headers(&headers).not_recorded();
        assert_eq!(run.removed, ["x-session-track", "x-session-operation", "x-audit-stream-id"]);
        assert_eq!(run.stats.counter(Counter::Excluded), 0);
        let run = Case::new("GET", "/check").config(&off).headers(&headers).peer(UNTRUSTED).not_recorded();
        assert_eq!((run.removed.len(), run.stats.counter(Counter::HeadersSpoofed)), (4, 3));
    }
}

mod matching {
    use super::*;

    #[test]
    fn the_first_match_wins() {
        let rules = json!([
            {"name": "quiet", "match": {"path": {"exact": "/health"}}, "level": "none"},
            {"name": "first", "match": {"path": {"prefix": "/a"}}, "record_on": ["failure"]},
            {"name": "second", "match": {"path": {"prefix": "/a"}}},
            {"name": "rest"},
        ]);
        Case::new("GET", "/a").rules(&rules).status("500").rule(Some("first"));
        Case::new("GET", "/b").rules(&rules).rule(Some("rest"));
        let run = Case::new("GET", "/a").rules(&rules).not_recorded();
        assert_eq!(run.stats.counter(Counter::Excluded), 1, "a later rule does not step in");
        let run = Case::new("GET", "/health").rules(&rules).headers(&[TRACK, CONTEXT]).not_recorded();
        assert_eq!(run.stats.counter(Counter::Excluded), 1);
        assert_eq!(run.removed, ["x-session-track"]);
    }

    /// Whether a rule with these conditions matches the request.
    #[track_caller]
    fn check(conditions: &Value, case: Case, expected: bool) {
        let rules = json!([{"name": "r", "match": conditions}]);
        let found = case.rules(&rules).run().record.is_some();
        assert_eq!(found, expected, "{conditions}");
    }

    #[test]
    fn hosts() {
        for (pattern, authority, expected) in [
            ("api.example.com", "api.example.com", true),
            ("api.example.com", "API.Example.com", true),
            ("API.example.com", "api.example.com:8443", true),
            ("api.example.com", "api.example.com.evil", false),
            ("api.example.com", "x.api.example.com", false),
            ("api.example.com", "", false),
            ("*.internal", "a.internal", true),
            ("*.internal", "A.B.INTERNAL:80", true),
            ("*.internal", "internal", false),
            ("*.internal", ".internal", false),
            ("*.internal", "ainternal", false),
            ("*.internal", "a.internal.evil", false),
            ("[::1]", "[::1]:8080", true),
            ("[::1]", "[::1]", true),
        ] {
            let mut case = Case::new("GET", "/");
            case.headers[2].1 = authority.as_bytes().to_vec();
            check(&json!({"hosts": ["other", pattern]}), case, expected);
        }
    }

    #[test]
    fn methods() {
        for (method, expected) in [("POST", true), ("PUT", true), ("GET", false), ("post", false), ("", false)] {
            check(&json!({"methods": ["POST", "PUT"]}), Case::new(method, "/"), expected);
        }
    }

    #[test]
    fn paths() {
        for (pattern, path, expected) in [
            (json!({"exact": "/a"}), "/a", true),
            (json!({"exact": "/a"}), "/a/b", false),
            (json!({"prefix": "/a/"}), "/a/b?c", true),
            (json!({"prefix": "/a/"}), "/a/../b", false),
            (json!({"prefix": "/a/"}), "/x/..//a/b", true),
            (json!({"suffix": ".json"}), "/a.json?x=.xml", true),
            (json!({"suffix": ".json"}), "/a?x=.json", false),
            (json!({"template": "/users/{id}"}), "/users/%41", true),
            (json!({"template": "/users/{id}"}), "/users/", false),
            (json!({"template": "/users/{id}"}), "/users/a/b", false),
        ] {
            check(&json!({"path": pattern}), Case::new("GET", path), expected);
        }
    }

    #[test]
    fn a_template_is_the_route_and_the_action() {
        let rules = json!([{"name": "r", "match": {"path": {"template": "/users/{id}"}}}]);
        let record = Case::new("PUT", "/users/42?x").rules(&rules).recorded();
        assert_eq!(record.route.as_deref(), Some("/users/{id}"));
        assert_eq!((text(&record.action), text(&record.path)), ("PUT /users/{id}", "/users/42"));
    }

    #[test]
    fn headers() {
        for (condition, values, expected) in [
            (json!({"exact": "prod"}), vec!["prod"], true),
            (json!({"exact": "prod"}), vec!["test", "prod"], true),
            (json!({"exact": "prod"}), vec!["Prod"], false),
            (json!({"exact": "prod"}), vec!["test,prod"], false),
            (json!({"exact": "prod"}), vec![], false),
            (json!({"exact": ""}), vec![""], true),
            (json!({"prefix": "pr"}), vec!["x", "prod"], true),
            (json!({"prefix": "pr"}), vec!["xpr"], false),
            (json!({"suffix": "od"}), vec!["prod"], true),
            (json!({"suffix": "od"}), vec!["odx"], false),
            (json!({"contains": "ro"}), vec!["prod"], true),
            (json!({"contains": "ro"}), vec!["r", "o"], false),
            (json!({"contains": ""}), vec!["prod"], true),
            (json!({"present": true}), vec![""], true),
            (json!({"present": true}), vec![], false),
            (json!({"present": false}), vec![], true),
            (json!({"present": false}), vec!["", "x"], false),
        ] {
            let mut condition = condition.clone();
            condition["name"] = json!("X-Env");
            let case = values.iter().fold(Case::new("GET", "/"), |case, value| case.headers(&[("x-env", value)]));
            check(&json!({"headers": [condition]}), case, expected);
        }
        let both = json!({"headers": [{"name": "a", "present": true}, {"name": "b", "present": true}]});
        check(&both, Case::new("GET", "/").headers(&[("a", "")]), false);
        check(&both, Case::new("GET", "/").headers(&[("a", ""), ("b", "")]), true);
    }

    #[test]
    fn protocols() {
        for (protocol, content_type, expected) in [
            ("http", "application/json", true),
            ("http", "application/grpc", false),
            ("grpc", "application/grpc", true),
            ("grpc", "application/grpc+proto", true),
            ("grpc", "Application/gRPC-Web", true),
            ("grpc", "text/application/grpc", false),
            ("any", "application/grpc", true),
            ("any", "text/plain", true),
        ] {
            let case = Case::new("POST", "/a.B/C").headers(&[("content-type", content_type)]);
            check(&json!({"protocol": protocol}), case, expected);
        }
        check(&json!({"protocol": "grpc"}), Case::new("POST", "/a.B/C"), false);
    }

    #[test]
    fn tracked() {
        let tracked = || Case::new("GET", "/").headers(&[TRACK, CONTEXT]);
        check(&json!({"tracked": true}), tracked(), true);
        check(&json!({"tracked": true}), Case::new("GET", "/"), false);
        check(&json!({"tracked": false}), tracked(), false);
        check(&json!({"tracked": false}), Case::new("GET", "/"), true);
        check(&json!({"tracked": true}), tracked().peer(UNTRUSTED), false);
        check(&json!({"tracked": false}), tracked().peer(UNTRUSTED), true);
    }

    #[test]
    fn control_headers_of_an_untrusted_peer_count_as_absent_in_conditions() {
        let present = json!({"headers": [{"name": "x-session-track", "exact": "true"}]});
        let absent = json!({"headers": [{"name": "x-session-context", "present": false}]});
        let tracked = |peer: &str| Case::new("GET", "/").headers(&[TRACK, CONTEXT]).peer(peer);
        check(&present, tracked(TRUSTED), true);
        check(&present, tracked(UNTRUSTED), false);
        check(&present, tracked(UNTRUSTED).unseen(), false);
        check(&absent, tracked(TRUSTED), false);
        check(&absent, tracked(UNKNOWN), true);
    }

    #[test]
    fn outcomes_and_statuses_of_a_rule() {
        let rules = json!([{"name": "r", "record_on": ["failure", "denied"], "http_statuses": ["5xx", 403]}]);
        for (status, expected) in
            [("500", true), ("599", true), ("403", true), ("401", false), ("404", false), ("200", false)]
        {
            let run = Case::new("GET", "/").rules(&rules).status(status).run();
            assert_eq!(run.record.is_some(), expected, "{status}");
            assert_eq!(run.stats.counter(Counter::Excluded), u64::from(!expected), "{status}");
        }
        let denied = Case::grpc().rules(&rules).stream(|stream| stream.with_trailers(&[("grpc-status", "7")]));
        denied.rule(Some("r"));
    }

    #[test]
    fn tags_are_recorded() {
        let rules = json!([{"name": "r", "tags": {"retention": "7y"}}]);
        let record = Case::new("GET", "/").rules(&rules).recorded();
        assert_eq!(*record.tags, [("retention".to_owned(), "7y".to_owned())]);
    }
}

mod tracking {
    use super::*;

    #[test]
    fn a_tracked_request_is_recorded_with_its_context() {
        let headers = [TRACK, CONTEXT, ("x-session-operation", "password.change")];
        let case = Case::new("POST", "/login").headers(&headers).status("401");
        let run = case.run();
        let record = run.record.unwrap();
        assert_eq!((&*record.rule, record.outcome), ("tracked", Outcome::Denied));
        assert_eq!(record.context, Some(Context::Whole(b"device=1".to_vec())));
        assert_eq!((text(&record.action), record.header_conflict), ("password.change", false));
        assert_eq!(run.removed, ["x-session-track", "x-session-operation"], "the context is for the upstream");
        assert_eq!(run.stats.counter(Counter::HeadersStripped), 2);
        assert_eq!(run.stats.counter(Counter::HeadersSpoofed), 0);
    }

    #[test]
    fn anything_but_true_is_not_tracked_and_still_removed() {
        for value in ["false", "TRUE", "True", "1", "yes", "", "true;", "\"true\""] {
            let run = Case::new("POST", "/login").headers(&[("x-session-track", value), CONTEXT]).not_recorded();
            assert_eq!(run.removed, ["x-session-track"], "{value}");
            assert_eq!(run.stats.counter(Counter::SkippedEmptyContext), 0, "{value}");
        }
        let run = Case::new("POST", "/login").headers(&[("x-session-operation", "o"), CONTEXT]).not_recorded();
        assert_eq!(run.removed, ["x-session-operation"]);
        assert_eq!(Case::new("POST", "/login").headers(&[CONTEXT]).not_recorded().removed, [""; 0]);
    }

    #[test]
    fn an_empty_context_is_skipped_and_counted() {
        for headers in [&[TRACK][..], &[TRACK, ("x-session-context", "")], &[TRACK, ("x-session-context", " ")]] {
            let run = Case::new("POST", "/login").headers(headers).not_recorded();
            assert_eq!(run.stats.counter(Counter::SkippedEmptyContext), 1);
            assert_eq!(run.stats.counter(Counter::Excluded), 0);
            let keep = json!({"tracking": {"on_empty_context": "record"}});
            let record = Case::new("POST", "/login").config(&keep).headers(headers).recorded();
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
            let case =
                values.iter().fold(Case::new("GET", "/"), |case, value| case.headers(&[("x-session-track", value)]));
            let record = case.headers(&[CONTEXT]).run().record;
            assert_eq!(record.map(|record| record.header_conflict), is_recorded.then_some(conflict), "{values:?}");
        }
        let doubled =
            [TRACK, CONTEXT, ("x-session-context", "last"), ("x-session-operation", "a"), ("x-session-operation", "b")];
        let record = Case::new("GET", "/").headers(&doubled).recorded();
        assert_eq!(record.context, Some(Context::Whole(b"last".to_vec())));
        assert_eq!((text(&record.action), record.header_conflict), ("b", true));
        let same = [TRACK, CONTEXT, CONTEXT];
        assert!(!Case::new("GET", "/").headers(&same).recorded().header_conflict);
    }

    #[test]
    fn a_long_context_is_hashed() {
        let limit = json!({"tracking": {"max_context_bytes": 3}});
        let context = |value: &str| {
            let headers = [TRACK, ("x-session-context", value)];
            Case::new("GET", "/").config(&limit).headers(&headers).recorded().context.unwrap()
        };
        assert_eq!(context("abc"), Context::Whole(b"abc".to_vec()));
        let sha256 = "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589".to_owned();
        assert_eq!(context("abcd"), Context::Hashed { sha256, length: 4 });
    }

    #[test]
    fn the_context_is_removed_when_asked() {
        let strip = json!({"tracking": {"strip_context": true}});
        let run = Case::new("GET", "/").config(&strip).headers(&[TRACK, CONTEXT]).run();
        assert_eq!(run.removed, ["x-session-track", "x-session-context"]);
        assert_eq!(run.record.unwrap().context, Some(Context::Whole(b"device=1".to_vec())));
    }

    #[test]
    fn names_are_configured() {
        let names = json!({"tracking": {"track_header": "X-T", "operation_header": "x-o", "context_header": "x-c"}});
        let headers = [("x-t", "true"), ("x-o", "o"), ("x-c", "c"), TRACK];
        let run = Case::new("GET", "/").config(&names).headers(&headers).run();
        assert_eq!(run.removed, ["x-t", "x-o"]);
        assert_eq!(text(&run.record.unwrap().action), "o");
    }

    #[test]
    fn correlation_headers_are_removed_from_every_request() {
        let headers = [("x-audit-stream-id", "a"), ("x-audit-sequence-number", "1")];
        let run = Case::new("GET", "/nothing").headers(&headers).not_recorded();
        assert_eq!(run.removed, ["x-audit-stream-id", "x-audit-sequence-number"]);
        assert_eq!((run.asked, run.stats.counter(Counter::HeadersSpoofed)), (vec![], 0));
    }

    #[test]
    fn request_trailers_are_stripped() {
        for (peer, expected, spoofed) in [
            (TRUSTED, vec!["x-session-track", "x-session-operation"], 0),
            (UNTRUSTED, vec!["x-session-track", "x-session-operation", "x-session-context"], 3),
        ] {
            let mut case = Case::new("POST", "/a.B/C").peer(peer);
            case.trailers = owned(&[TRACK, ("x-session-operation", "o"), CONTEXT, ("other", "x")]);
            let run = case.not_recorded();
            assert_eq!(
                (run.removed_from_trailers, run.removed),
                (expected.iter().map(ToString::to_string).collect(), vec![])
            );
            assert_eq!(run.stats.counter(Counter::HeadersSpoofed), spoofed);
            assert_eq!(run.stats.counter(Counter::HeadersStripped), expected.len() as u64);
        }
    }
}

mod actions {
    use super::*;

    #[track_caller]
    fn check(rule: &Value, operation: Option<&str>, grpc: bool, expected: &str) {
        let mut rule = rule.clone();
        rule["name"] = json!("r");
        let mut case = if grpc { Case::grpc() } else { Case::new("PUT", "/users/42") }.rules(&json!([rule]));
        if let Some(operation) = operation {
            case = case.headers(&[("x-session-operation", operation)]);
        }
        assert_eq!(text(&case.recorded().action), expected);
    }

    #[test]
    fn in_order_of_precedence() {
        check(&json!({"action": "fixed"}), Some("said"), false, "fixed");
        check(&json!({"action": ""}), Some("said"), false, "said");
        check(&json!({}), Some("said"), true, "said");
        check(&json!({}), Some(""), false, "PUT /users/42");
        check(&json!({}), None, true, "/shop.Users/Delete");
        check(&json!({"match": {"path": {"template": "/users/{id}"}}}), None, false, "PUT /users/{id}");
        check(&json!({"match": {"path": {"prefix": "/users"}}}), None, false, "PUT /users/42");
    }

    #[test]
    fn an_untrusted_operation_is_not_said() {
        let case = Case::new("GET", "/check").headers(&[("x-session-operation", "forged")]).peer(UNTRUSTED);
        assert_eq!(text(&case.recorded().action), "GET /check");
    }

    #[test]
    fn a_long_operation_is_cut() {
        let long = "\u{f6}".repeat(300);
        let case = Case::new("GET", "/").headers(&[TRACK, CONTEXT, ("x-session-operation", &long)]);
        assert_eq!(text(&case.recorded().action), "\u{f6}".repeat(128));
    }
}

mod peers {
    use super::*;

    const ALL: [(&str, &str); 3] = [TRACK, CONTEXT, ("x-session-operation", "o")];

    #[test]
    fn an_untrusted_peer_is_not_heard() {
        for (peer, unknown) in [(UNTRUSTED, false), (UNKNOWN, true), ("203.0.113.9:0", true)] {
            let run = Case::new("POST", "/login").headers(&ALL).peer(peer).not_recorded();
            assert_eq!(run.removed, ["x-session-track", "x-session-operation", "x-session-context"], "{peer}");
            assert_eq!(run.stats.counter(Counter::HeadersSpoofed), 3, "{peer}");
            assert_eq!(run.stats.counter(Counter::SkippedEmptyContext), 0, "{peer}");
            assert_eq!(run.peer_unknown, unknown, "{peer}");
        }
    }

    #[test]
    fn the_direct_peer_decides() {
        let direct = |peer: &str, source: &str| {
            let properties = [(Property::DirectPeer, peer), (Property::SourceAddress, source)];
            Case::new("POST", "/").headers(&ALL).stream(|stream| stream.with_properties(&properties))
        };
        let record = direct("10.0.0.1", "198.51.100.7:0").recorded();
        assert_eq!(optional(record.client_address.as_ref()), Some("198.51.100.7"));
        let run = direct("203.0.113.9", TRUSTED).not_recorded();
        assert!(!run.peer_unknown);
    }

    #[test]
    fn a_certificate_decides_in_any_case() {
        let mesh = json!({"trust": {"cidrs": [], "uri_sans": ["spiffe://mesh.internal/"]}});
        let case = |san: &str| {
            let properties = [(Property::PeerUriSan, san)];
            Case::new("POST", "/").config(&mesh).headers(&ALL).stream(|stream| stream.with_properties(&properties))
        };
        case("spiffe://mesh.internal/ns/a").peer(UNKNOWN).rule(Some("tracked"));
        case("spiffe://mesh.evil/ns/a").rule(None);
        case("").rule(None);
    }

    #[test]
    fn only_a_control_header_makes_it_ask() {
        let run = Case::new("POST", "/login").headers(&[("cookie", "a"), ("x-request-id", "b")]).peer(UNTRUSTED).run();
        assert_eq!((run.asked, run.peer_unknown), (vec![], false));
        let mut case = Case::new("POST", "/login").headers(&[("x-session-track", "x")]);
        case.trailers = owned(&[TRACK]);
        let run = case.run();
        assert_eq!(run.asked, [Property::DirectPeer, Property::SourceAddress], "judged once per exchange");
        let run = Case::new("GET", "/check").run();
        assert_eq!(run.asked, [Property::Protocol, Property::SourceAddress], "a plain record asks for what it holds");
    }
}

mod grpc {
    use super::*;

    struct Expected {
        name: &'static str,
        source: StatusSource,
        outcome: Outcome,
    }

    #[track_caller]
    fn check(case: Case, name: &'static str, source: StatusSource, outcome: Outcome) {
        let expected = Expected { name, source, outcome };
        let record = case.recorded();
        let rpc = record.rpc.unwrap();
        assert_eq!((&*rpc.name, rpc.source, record.outcome), (expected.name, expected.source, expected.outcome));
        assert_eq!(record.protocol, Protocol::Grpc);
    }

    fn trailers(status: &str) -> Case {
        Case::grpc().stream(|stream| stream.with_trailers(&[("grpc-status", status)]))
    }

    fn headers(http: &str, status: &str) -> Case {
        Case::grpc().stream(|stream| stream.with_headers(&[(":status", http), ("grpc-status", status)]))
    }

    #[test]
    fn in_trailers() {
        use StatusSource::Trailers;
        check(trailers("0"), "OK", Trailers, Outcome::Success);
        check(trailers("7"), "PERMISSION_DENIED", Trailers, Outcome::Denied);
        check(trailers("16"), "UNAUTHENTICATED", Trailers, Outcome::Denied);
        check(trailers("5"), "NOT_FOUND", Trailers, Outcome::Failure);
        check(trailers("1"), "CANCELLED", Trailers, Outcome::Failure);
        check(trailers("17"), "CODE(17)", Trailers, Outcome::Failure);
        check(trailers("seven"), "UNKNOWN", Trailers, Outcome::Failure);
        check(trailers(""), "UNKNOWN", Trailers, Outcome::Failure);
        check(trailers("00"), "OK", Trailers, Outcome::Success);
    }

    #[test]
    fn in_headers_of_an_answer_without_trailers() {
        use StatusSource::Headers;
        check(headers("200", "7"), "PERMISSION_DENIED", Headers, Outcome::Denied);
        check(headers("200", "0"), "OK", Headers, Outcome::Success);
        check(headers("503", "14"), "UNAVAILABLE", Headers, Outcome::Failure);
    }

    #[test]
    fn trailers_come_first() {
        let both = headers("200", "0").stream(|stream| stream.with_trailers(&[("grpc-status", "13")]));
        check(both, "INTERNAL", StatusSource::Trailers, Outcome::Failure);
    }

    #[test]
    fn nowhere_but_in_the_http_status() {
        use StatusSource::Http;
        check(Case::grpc().status("403"), "PERMISSION_DENIED", Http, Outcome::Denied);
        check(Case::grpc().status("401"), "UNAUTHENTICATED", Http, Outcome::Denied);
        check(Case::grpc().status("503").broken_off(), "UNAVAILABLE", Http, Outcome::Failure);
        check(Case::grpc().status("404"), "UNIMPLEMENTED", Http, Outcome::Failure);
        check(Case::grpc().status("200"), "UNKNOWN", Http, Outcome::Failure);
        check(Case::grpc().status("418"), "UNKNOWN", Http, Outcome::Failure);
    }

    #[test]
    fn nowhere_since_it_was_reset() {
        use StatusSource::Reset;
        check(Case::grpc().broken_off(), "UNKNOWN", Reset, Outcome::Aborted);
        let silent = Case::grpc().stream(|stream| stream.with_headers(&[])).broken_off();
        check(silent, "UNKNOWN", Reset, Outcome::Aborted);
    }

    #[test]
    fn the_message_is_decoded_and_bounded() {
        let long = "%E2%82%AC".repeat(300);
        for (message, expected) in
            [("no t%C3%B6ken", Some("no t\u{f6}ken")), ("", None), (&long, Some(&*"\u{20ac}".repeat(170)))]
        {
            let pairs = [("grpc-status", "7"), ("grpc-message", message)];
            let record = Case::grpc().stream(|stream| stream.with_trailers(&pairs)).recorded();
            assert_eq!(optional(record.error_message.as_ref()), expected);
        }
        let pairs = [(":status", "200"), ("grpc-status", "7"), ("grpc-message", "from headers")];
        let record = Case::grpc().stream(|stream| stream.with_headers(&pairs)).recorded();
        assert_eq!(optional(record.error_message.as_ref()), Some("from headers"));
    }
}

mod endings {
    use super::*;

    #[test]
    fn http_that_was_broken_off_is_aborted() {
        let rules = json!([{"name": "r"}]);
        let record = Case::new("GET", "/").rules(&rules).broken_off().recorded();
        assert_eq!((record.outcome, record.http_status), (Outcome::Aborted, Some(200)));
        let silent = Case::new("GET", "/").rules(&rules).stream(|stream| stream.with_headers(&[]));
        let record = silent.recorded();
        assert_eq!((record.outcome, record.http_status), (Outcome::Aborted, None));
    }

    #[test]
    fn a_status_that_is_none_is_no_status() {
        for status in ["", "abc", "70000", "2 0"] {
            let record = Case::new("GET", "/").rules(&json!([{"name": "r"}])).status(status).recorded();
            assert_eq!((record.outcome, record.http_status), (Outcome::Aborted, None), "{status}");
        }
    }

    #[test]
    fn a_request_seen_only_at_its_end_has_envoys_times() {
        let begun = 1_600_000_000_000_000_001;
        let timed = |stream: FakeStream| {
            stream.with_number(Property::RequestTime, begun).with_number(Property::RequestDuration, 7_000_000)
        };
        let run = Case::new("GET", "/x").headers(&[TRACK, CONTEXT]).status("401").unseen().stream(timed).run();
        let record = run.record.unwrap();
        assert_eq!((record.start_unix_nanos, record.duration), (begun.unsigned_abs(), Duration::from_millis(7)));
        assert_eq!(record.outcome, Outcome::Denied, "an answer made before the filter was sent whole");
        assert_eq!((run.removed, run.stats.counter(Counter::HeadersStripped)), (vec![], 0));
    }

    #[test]
    fn without_envoys_times_it_has_the_end() {
        let record = Case::new("GET", "/check").unseen().recorded();
        assert_eq!((record.start_unix_nanos, record.duration), (END.unix_nanos, Duration::ZERO));
        let negative = |stream: FakeStream| stream.with_number(Property::RequestTime, -1);
        let record = Case::new("GET", "/check").unseen().stream(negative).recorded();
        assert_eq!(record.start_unix_nanos, END.unix_nanos);
    }

    #[test]
    fn an_unseen_untrusted_peer_is_not_heard() {
        let run = Case::new("GET", "/x").headers(&[TRACK, CONTEXT]).peer(UNTRUSTED).unseen().not_recorded();
        assert_eq!(run.stats.counter(Counter::HeadersSpoofed), 2);
    }
}

mod fields {
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
        for (status, expected) in [("200", None), ("302", None), ("403", Some("UF")), ("503", Some("UF"))] {
            let record = Case::new("GET", "/").rules(&rules).stream(full_stream).status(status).recorded();
            assert_eq!(record.response_flags.as_deref(), expected, "{status}");
            let details = expected.map(|_| "via_upstream");
            assert_eq!(optional(record.response_code_details.as_ref()), details, "{status}");
            assert_eq!((record.upstream_cluster, record.peer_uri_san), (None, None), "only on demand");
        }
    }

    #[test]
    fn extra_fields_are_asked_for_one_by_one() {
        for (field, property) in [
            ("upstream_cluster", Property::UpstreamCluster),
            ("peer_uri_san", Property::PeerUriSan),
            ("response_flags", Property::ResponseFlags),
            ("response_code_details", Property::ResponseCodeDetails),
        ] {
            let rules = json!([{"name": "r", "extra_fields": [field]}]);
            let run = Case::new("GET", "/").rules(&rules).stream(full_stream).run();
            assert_eq!(run.asked.iter().filter(|asked| **asked == property).count(), 1, "{field}");
            assert_eq!(run.asked.len(), 3, "{field}: {:?}", run.asked);
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
            ("x-request-id", "id-2"),
        ];
        let record = Case::new("GET", "/check").headers(&headers).stream(full_stream).status("200").recorded();
        assert_eq!(optional(record.user_agent.as_ref()), Some(&*"\u{f6}".repeat(128)));
        assert_eq!(optional(record.request_id.as_ref()), Some("id-1"));
        assert_eq!(record.trace.unwrap().span_id, *b"b7ad6b7169203331");
        assert_eq!(optional(record.protocol_version.as_ref()), Some("2"));
        assert_eq!(optional(record.client_address.as_ref()), Some("2001:db8::7"));
        let bad = Case::new("GET", "/check").headers(&[("traceparent", "00-0-0-00")]).recorded();
        assert_eq!(bad.trace, None);
    }

    #[test]
    fn every_value_is_bounded() {
        let long = "x".repeat(100_000);
        let path = format!("/{long}");
        let headers = [TRACK, CONTEXT, ("user-agent", &long), ("x-request-id", &long), ("x-session-operation", &long)];
        let mut case = Case::new(&long, &path).headers(&headers);
        case.headers[2].1 = long.as_bytes().to_vec();
        let record = case.recorded();
        assert_eq!((record.path.len(), record.method.len()), (exchange::MAX_PATH_BYTES, exchange::MAX_NAME_BYTES));
        assert_eq!((record.host.len(), record.action.len()), (exchange::MAX_NAME_BYTES, 256));
        assert_eq!(
            (record.user_agent.unwrap().len(), record.request_id.unwrap().len()),
            (256, exchange::MAX_NAME_BYTES)
        );
    }
}

mod hostile_bytes {
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
        let properties = [Property::Protocol, Property::ResponseFlags, Property::ResponseCodeDetails];
        case.stream.properties.extend(properties.map(|property| (property, evil.to_vec())));
        case.stream.response_headers.insert(":status".to_owned(), evil.to_vec());
        let record = case.recorded();
        assert_eq!((record.path.as_slice(), record.action.as_slice()), (&evil[..], &evil[..]));
        assert_eq!(record.context, Some(Context::Whole(evil.to_vec())));
        assert_eq!((record.outcome, record.response_flags), (Outcome::Aborted, None));
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
        let known = ["true", "GET", "/check", "application/grpc", "true,x", "", "/a/../check?x"];
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
            complete: bool,
        ) {
            let mut case = Case::new("GET", "/check");
            case.headers = pairs.clone();
            case.trailers = pairs;
            case.stream.properties.insert(Property::SourceAddress, source);
            case.stream.response_trailers.insert("grpc-status".to_owned(), status.clone());
            case.stream.response_trailers.insert("grpc-message".to_owned(), status);
            (case.is_seen, case.is_complete) = (seen, complete);
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
}
