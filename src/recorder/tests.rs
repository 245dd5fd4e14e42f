//! Whole exchanges through the recorder, with configurations as an operator writes them.

mod actions;
mod default_rules;
mod endings;
mod fields;
mod grpc;
mod hostile_bytes;
mod matching;
mod peers;
mod required;
mod tracking;

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
use crate::record::{ExchangeRecord, Outcome, Protocol, RequireAudit};
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
    required: RequireAudit,
    /// What could be recorded before, where it was required.
    received: Option<Box<ExchangeRecord>>,
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
            required: RequireAudit::None,
            received: None,
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
            run.required = instructions.require_audit;
            if run.required != RequireAudit::None {
                run.received = self.recorder.received(&exchange, &self.stream);
            }
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
