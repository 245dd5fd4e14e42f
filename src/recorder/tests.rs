//! Whole exchanges through the recorder, with configurations as an operator writes them.

mod actions;
mod attacks;
mod captures;
mod claims;
mod default_rules;
mod dialects;
mod endings;
mod fields;
mod gateway;
mod grpc;
mod hostile_bytes;
mod identity;
mod leaving;
mod matching;
mod peers;
mod recreated;
mod required;
mod sessions;
mod several_values;
mod spellings;
mod tracking;

use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::correlation::{Correlator, Scope};
use super::exchange::Exchange;
use super::fake::FakeStream;
use super::headers::Headers;
use super::rpc::{Dialect, StatusSource};
use super::tracking::Context;
use super::{Host, Recorder, request};
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
    /// Nothing follows the response's headers.
    ends_with_headers: bool,
    /// Nothing follows the last chunk.
    ends_with_body: bool,
    /// What the callback for trailers sees; no later filter may have them.
    seen_trailers: Option<Vec<(Vec<u8>, Vec<u8>)>>,
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
    is_recreated: bool,
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
                .with_properties(&[(Property::SourceAddress, TRUSTED), (Property::ResponseCodeDetails, "via_upstream")])
                .with_headers(&[(":status", "200")]),
            body: Vec::new(),
            ends_with_headers: false,
            ends_with_body: false,
            seen_trailers: None,
            is_seen: true,
        }
    }

    fn grpc() -> Self {
        Self::call("application/grpc").headers(&[TRACK, CONTEXT])
    }

    /// A call whose request and answer have this content type.
    fn call(content_type: &str) -> Self {
        let case = Self::new("POST", "/shop.Users/Delete").headers(&[("content-type", content_type)]);
        case.response_header("content-type", content_type)
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

    fn authority(mut self, authority: &str) -> Self {
        self.headers.retain(|(name, _)| name != b":authority");
        self.raw(":authority", authority.as_bytes())
    }

    fn peer(mut self, source: &str) -> Self {
        self.stream = self.stream.with_properties(&[(Property::SourceAddress, source)]);
        self
    }

    fn status(self, status: &str) -> Self {
        self.response_header(":status", status)
    }

    /// With no response but these headers.
    fn answer_headers(mut self, headers: &[(&str, &str)]) -> Self {
        self.stream = self.stream.with_headers(headers);
        self
    }

    /// With these trailers, as their callback sees them.
    fn answer_trailers(mut self, trailers: &[(&str, &str)]) -> Self {
        self.seen_trailers = Some(owned(trailers));
        self
    }

    /// With this body, which is all of it, in chunks of this size.
    fn answer_body(mut self, body: &[u8], chunk_bytes: usize) -> Self {
        self.body = body.chunks(chunk_bytes).map(<[u8]>::to_vec).collect();
        self.ends_with_body = true;
        self
    }

    fn stream(mut self, change: impl FnOnce(FakeStream) -> FakeStream) -> Self {
        self.stream = change(self.stream);
        self
    }

    /// The client leaves before the response is complete (`DC`).
    fn client_leaves(self) -> Self {
        self.ends(1 << 14, "downstream_remote_disconnect")
    }

    /// The upstream breaks off the response (`UC`).
    fn broken_off(self) -> Self {
        self.ends(1 << 6, "upstream_reset_after_response_started{connection_termination}")
    }

    /// With these flags and details.
    fn ends(mut self, flags: i64, details: &str) -> Self {
        let details = [(Property::ResponseCodeDetails, details)];
        self.stream = self.stream.with_number(Property::ResponseFlags, flags).with_properties(&details);
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

    fn repeated_response_header(mut self, name: &str, value: &str) -> Self {
        self.stream.repeated_response_headers.push((name.to_owned(), value.as_bytes().to_vec()));
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
            is_recreated: false,
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
        let ended = self.recorder.handle_end(&mut exchange, &self.stream, &|| END, &mut stats);
        (run.record, run.is_recreated) = (ended.record, ended.is_recreated);
        if !run.is_recreated {
            let again = self.recorder.handle_end(&mut exchange, &self.stream, &|| END, &mut stats);
            assert!(again.record.is_none(), "a second end makes a second record");
        }
        run.asked = self.stream.asked.take();
        run.maps = self.stream.maps.get();
        run.stats = stats;
        run
    }

    /// Hands the response to the recorder; yields the session id that it returns.
    fn answer(&self, exchange: &mut Exchange) -> Option<String> {
        let mut returned = None;
        let is_whole = self.body.is_empty() && self.ends_with_headers;
        if self.recorder.handle_response(exchange, is_whole) {
            let map = self.stream.response_headers();
            self.stream.maps.set(0);
            returned = self.recorder.handle_response_headers(exchange, map, &self.stream, &|| Some(FRESH));
        }
        for (place, chunk) in self.body.iter().enumerate() {
            self.stream.chunk.replace(chunk.clone());
            let is_last = self.ends_with_body && place + 1 == self.body.len();
            self.recorder.handle_response_body(exchange, chunk.len(), is_last, &self.stream);
        }
        if let Some(trailers) = &self.seen_trailers {
            self.recorder.handle_response_trailers(exchange, &view(trailers));
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
