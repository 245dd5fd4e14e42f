//! Whole exchanges through the recorder, with configurations as an operator writes them.

mod actions;
mod captures;
mod default_rules;
mod endings;
mod fields;
mod gateway;
mod grpc;
mod hostile_bytes;
mod identity;
mod matching;
mod peers;
mod required;
mod sessions;
mod tracking;

use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::correlation::{Correlator, Scope};
use super::exchange::Exchange;
use super::fake::FakeStream;
use super::grpc::StatusSource;
use super::headers::Headers;
use super::tracking::Context;
use super::{Host, Recorder, exchange};
use crate::host::{Property, SharedData, Stream as _};
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

/// The stream's id, and the id of a session that begins.
const STREAM: Uuid = Uuid::from_u128(1);
const FRESH: Uuid = Uuid::from_u128(2);

/// Recorders of one worker need none.
#[derive(Debug)]
struct NoSharedData;

impl SharedData for NoSharedData {
    fn get(&self, _key: &str) -> Option<(Vec<u8>, u32)> {
        None
    }

    fn set(&self, _key: &str, _value: &[u8]) {}

    fn replace(&self, _key: &str, _value: &[u8], _version: Option<u32>) -> bool {
        false
    }
}

/// One exchange: what the client sends, what the stream answers, how it ends.
struct Case {
    recorder: Recorder,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
    stream: FakeStream,
    /// The response's body, chunk by chunk.
    body: Vec<Vec<u8>>,
    is_seen: bool,
}

/// What became of it.
struct Run {
    record: Option<Box<ExchangeRecord>>,
    required: RequireAudit,
    /// What could be recorded before, where it was required.
    received: Option<Box<ExchangeRecord>>,
    most_ending_bytes: usize,
    removed: Vec<String>,
    /// Request headers that were set.
    set: Vec<(String, Vec<u8>)>,
    /// The session id that goes back to the client.
    returned: Option<String>,
    peer_unknown: bool,
    removed_from_trailers: Vec<String>,
    asked: Vec<Property>,
    /// How often all response headers were asked for at the end.
    maps: u32,
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
            body: Vec::new(),
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

    /// The client goes away before the response is complete (`DC`).
    fn broken_off(mut self) -> Self {
        self.stream = self.stream.with_number(Property::ResponseFlags, 1 << 14);
        self
    }

    /// A JSON response, in chunks of this size.
    fn json_body(mut self, body: &str, chunk_bytes: usize) -> Self {
        self.stream.response_headers.insert("content-type".to_owned(), b"application/json".to_vec());
        self.body = body.as_bytes().chunks(chunk_bytes).map(<[u8]>::to_vec).collect();
        self
    }

    fn response_header(mut self, name: &str, value: &str) -> Self {
        self.stream.response_headers.insert(name.to_owned(), value.as_bytes().to_vec());
        self
    }

    fn unseen(mut self) -> Self {
        self.is_seen = false;
        self
    }

    fn run(self) -> Run {
        let (mut exchange, mut stats) = (Exchange::default(), Stats::default());
        let mut correlator = Correlator::new(Scope::Worker, STREAM, Rc::new(NoSharedData));
        let mut host = Host {
            stream: &self.stream,
            clock: &|| START,
            fresh_id: &|| Some(FRESH),
            correlator: &mut correlator,
            stats: &mut stats,
        };
        let (headers, trailers) = (view(&self.headers), view(&self.trailers));
        let mut run = Run {
            record: None,
            required: RequireAudit::None,
            received: None,
            most_ending_bytes: 0,
            removed: Vec::new(),
            set: Vec::new(),
            returned: None,
            peer_unknown: false,
            removed_from_trailers: Vec::new(),
            asked: Vec::new(),
            maps: 0,
            stats: Stats::default(),
        };
        let texts = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        if self.is_seen {
            let instructions = self.recorder.handle_request_headers(&mut exchange, &headers, &mut host);
            run.set = instructions.set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            run.removed = texts(instructions.remove);
            run.peer_unknown = instructions.peer_unknown;
            run.required = instructions.require_audit;
            if run.required != RequireAudit::None
                && let Some(received) = self.recorder.received(&mut exchange, &self.stream)
            {
                run.most_ending_bytes = received.most_ending_bytes;
                run.received = Some(received.record);
            }
            if !self.trailers.is_empty() {
                let names = self.recorder.handle_request_trailers(&mut exchange, &trailers, &mut host);
                run.removed_from_trailers = texts(names);
            }
            run.returned = self.answer(&mut exchange);
        } else {
            self.recorder.handle_unseen_request(&mut exchange, &headers, &mut host);
        }
        assert!(exchange.is_seen());
        run.record = self.recorder.handle_end(&mut exchange, &self.stream, &|| END, &mut stats);
        let again = self.recorder.handle_end(&mut exchange, &self.stream, &|| END, &mut stats);
        assert!(again.is_none(), "a second end makes a second record");
        run.asked = self.stream.asked.take();
        run.maps = self.stream.maps.get();
        run.stats = stats;
        run
    }

    /// Hands the response to the recorder; yields the session id that it returns.
    fn answer(&self, exchange: &mut Exchange) -> Option<String> {
        let mut returned = None;
        if self.recorder.wants_response_headers(exchange) {
            let map = self.stream.response_headers();
            self.stream.maps.set(0);
            returned =
                self.recorder.handle_response_headers(exchange, &Headers::parse(&map), &self.stream, &|| Some(FRESH));
        }
        for chunk in &self.body {
            let needed = exchange.wants_of_chunk(chunk.len());
            exchange.handle_response_chunk(&chunk[..needed], chunk.len());
        }
        returned
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
