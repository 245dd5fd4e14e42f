//! Runs one exchange through the recorder: request, response, and result.

use super::*;

/// Recorders of one worker need no shared data.
#[derive(Debug)]
pub(super) struct NoSharedData;

impl SharedData for NoSharedData {
    fn get(&self, _key: &str) -> Option<(Vec<u8>, u32)> {
        None
    }

    fn set(&self, _key: &str, _value: &[u8]) {}

    fn replace(&self, _key: &str, _value: &[u8], _version: Option<u32>) -> bool {
        false
    }
}

/// One exchange: the client's request, the response, and how the stream ends.
pub(super) struct Case {
    pub(super) recorder: Recorder,
    pub(super) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) trailers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) stream: FakeStream,
    /// The response's body, chunk by chunk.
    pub(super) body: Vec<Vec<u8>>,
    /// Nothing follows the response's headers.
    pub(super) ends_with_headers: bool,
    /// Nothing follows the last chunk.
    pub(super) ends_with_body: bool,
    /// Trailers in the trailer callback; a later filter may remove them.
    pub(super) seen_trailers: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    pub(super) is_seen: bool,
}

/// The result.
pub(super) struct Run {
    pub(super) record: Option<Box<ExchangeRecord>>,
    pub(super) required: RequireAudit,
    /// The record before the request went upstream, if one was required.
    pub(super) received: Option<Box<ExchangeRecord>>,
    pub(super) most_ending_bytes: usize,
    pub(super) removed: Vec<String>,
    /// Request headers set by the recorder.
    pub(super) set: Vec<(String, Vec<u8>)>,
    /// The session id returned to the client.
    pub(super) returned: Option<String>,
    /// Log lines.
    pub(super) warnings: Vec<String>,
    pub(super) removed_from_trailers: Vec<String>,
    pub(super) asked: Vec<Property>,
    /// Number of reads of all response headers at the end.
    pub(super) maps: u32,
    pub(super) stats: Stats,
    pub(super) is_recreated: bool,
}

pub(super) fn owned(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs
        .iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect()
}

pub(super) fn view(pairs: &[(Vec<u8>, Vec<u8>)]) -> Headers<'_> {
    pairs
        .iter()
        .map(|(name, value)| (name.as_slice(), value.as_slice()))
        .collect()
}

impl Case {
    /// A request under the default rules from a trusted peer, with a complete 200 response.
    pub(super) fn new(method: &str, path: &str) -> Self {
        Self {
            recorder: recorder(&json!({})),
            headers: owned(&[
                (":method", method),
                (":path", path),
                (":authority", "api.example.com"),
            ]),
            trailers: Vec::new(),
            stream: FakeStream::default()
                .with_properties(&[
                    (Property::SourceAddress, TRUSTED),
                    (Property::ResponseCodeDetails, "via_upstream"),
                ])
                .with_headers(&[(":status", "200")]),
            body: Vec::new(),
            ends_with_headers: false,
            ends_with_body: false,
            seen_trailers: None,
            is_seen: true,
        }
    }

    pub(super) fn grpc() -> Self {
        Self::call("application/grpc").headers(&[TRACK, CONTEXT])
    }

    /// A call with this content type in request and response.
    pub(super) fn call(content_type: &str) -> Self {
        let case =
            Self::new("POST", "/shop.Users/Delete").headers(&[("content-type", content_type)]);
        case.response_header("content-type", content_type)
    }

    /// Configuration sections besides `audit_cluster`.
    pub(super) fn config(mut self, sections: &Value) -> Self {
        self.recorder = recorder(sections);
        self
    }

    pub(super) fn rules(self, rules: &Value) -> Self {
        self.config(&json!({"rules": rules}))
    }

    pub(super) fn headers(mut self, pairs: &[(&str, &str)]) -> Self {
        self.headers.extend(owned(pairs));
        self
    }

    pub(super) fn raw(mut self, name: &str, value: &[u8]) -> Self {
        self.headers
            .push((name.as_bytes().to_vec(), value.to_vec()));
        self
    }

    pub(super) fn authority(mut self, authority: &str) -> Self {
        self.headers.retain(|(name, _)| name != b":authority");
        self.raw(":authority", authority.as_bytes())
    }

    pub(super) fn peer(mut self, source: &str) -> Self {
        self.stream = self
            .stream
            .with_properties(&[(Property::SourceAddress, source)]);
        self
    }

    pub(super) fn status(self, status: &str) -> Self {
        self.response_header(":status", status)
    }

    /// With only these response headers.
    pub(super) fn answer_headers(mut self, headers: &[(&str, &str)]) -> Self {
        self.stream = self.stream.with_headers(headers);
        self
    }

    /// With these trailers, as in their callback.
    pub(super) fn answer_trailers(mut self, trailers: &[(&str, &str)]) -> Self {
        self.seen_trailers = Some(owned(trailers));
        self
    }

    /// With this complete body, in chunks of this size.
    pub(super) fn answer_body(mut self, body: &[u8], chunk_bytes: usize) -> Self {
        self.body = body.chunks(chunk_bytes).map(<[u8]>::to_vec).collect();
        self.ends_with_body = true;
        self
    }

    pub(super) fn stream(mut self, change: impl FnOnce(FakeStream) -> FakeStream) -> Self {
        self.stream = change(self.stream);
        self
    }

    /// The client disconnects before the response is complete (`DC`).
    pub(super) fn client_leaves(self) -> Self {
        self.ends(1 << 14, "downstream_remote_disconnect")
    }

    /// The upstream resets the response (`UC`).
    pub(super) fn broken_off(self) -> Self {
        self.ends(
            1 << 6,
            "upstream_reset_after_response_started{connection_termination}",
        )
    }

    /// With these flags and details.
    pub(super) fn ends(mut self, flags: i64, details: &str) -> Self {
        let details = [(Property::ResponseCodeDetails, details)];
        self.stream = self
            .stream
            .with_number(Property::ResponseFlags, flags)
            .with_properties(&details);
        self
    }

    /// A JSON response, in chunks of this size.
    pub(super) fn json_body(mut self, body: &str, chunk_bytes: usize) -> Self {
        self.stream
            .response_headers
            .insert("content-type".to_owned(), b"application/json".to_vec());
        self.body = body
            .as_bytes()
            .chunks(chunk_bytes)
            .map(<[u8]>::to_vec)
            .collect();
        self
    }

    pub(super) fn response_header(mut self, name: &str, value: &str) -> Self {
        self.stream
            .response_headers
            .insert(name.to_owned(), value.as_bytes().to_vec());
        self
    }

    pub(super) fn repeated_response_header(mut self, name: &str, value: &str) -> Self {
        self.stream
            .repeated_response_headers
            .push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    pub(super) fn unseen(mut self) -> Self {
        self.is_seen = false;
        self
    }

    pub(super) fn run(self) -> Run {
        let (mut exchange, stats) = (Exchange::default(), Stats::default());
        let mut correlator = Correlator::new(Scope::Worker, STREAM, Rc::new(NoSharedData));
        let mut services = Services {
            stream: &self.stream,
            clock: &|| START,
            fresh_id: &|| Some(FRESH),
            correlator: &mut correlator,
            stats: &stats,
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
            warnings: Vec::new(),
            removed_from_trailers: Vec::new(),
            asked: Vec::new(),
            maps: 0,
            stats: Stats::default(),
            is_recreated: false,
        };
        let texts = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        if self.is_seen {
            let instructions =
                self.recorder
                    .handle_request_headers(&mut exchange, &headers, &mut services);
            run.set = instructions
                .set
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            run.removed = texts(instructions.remove);
            run.warnings = std::iter::from_fn(|| self.recorder.poll_warning()).collect();
            run.required = instructions.require_audit;
            if run.required != RequireAudit::None
                && let Some(received) = self.recorder.received(&mut exchange, &self.stream)
            {
                run.most_ending_bytes = received.most_ending_bytes;
                run.received = Some(received.record);
            }
            if !self.trailers.is_empty() {
                let names =
                    self.recorder
                        .handle_request_trailers(&mut exchange, &trailers, &mut services);
                run.removed_from_trailers = texts(names);
            }
            run.returned = self.answer(&mut exchange);
        } else {
            self.recorder
                .handle_unseen_request(&mut exchange, &headers, &mut services);
        }

        assert!(exchange.is_seen());
        let ended = self
            .recorder
            .handle_end(&mut exchange, &self.stream, &|| END, &stats);
        (run.record, run.is_recreated) = (ended.record, ended.is_recreated);

        if !run.is_recreated {
            let again = self
                .recorder
                .handle_end(&mut exchange, &self.stream, &|| END, &stats);
            assert!(again.record.is_none(), "a second end makes a second record");
        }

        run.asked = self.stream.asked.take();
        run.maps = self.stream.maps.get();
        run.stats = stats;
        run
    }

    /// The exchange after its response, before its end.
    pub(super) fn answered(&self) -> Exchange {
        let (mut exchange, stats) = (Exchange::default(), Stats::default());
        let mut correlator = Correlator::new(Scope::Worker, STREAM, Rc::new(NoSharedData));
        let (stream, clock, fresh_id) = (&self.stream, &|| START, &|| Some(FRESH));
        let mut services = Services {
            stream,
            clock,
            fresh_id,
            correlator: &mut correlator,
            stats: &stats,
        };

        let _ = self.recorder.handle_request_headers(
            &mut exchange,
            &view(&self.headers),
            &mut services,
        );
        self.answer(&mut exchange);
        exchange
    }

    /// Passes the response to the recorder; returns the session id sent to the client.
    pub(super) fn answer(&self, exchange: &mut Exchange) -> Option<String> {
        let mut returned = None;
        let is_whole = self.body.is_empty() && self.ends_with_headers;
        if self.recorder.handle_response(exchange, is_whole) {
            let map = self.stream.response_headers();
            self.stream.maps.set(0);
            returned = self
                .recorder
                .handle_response_headers(exchange, map, &self.stream, &|| Some(FRESH));
        }

        for (place, chunk) in self.body.iter().enumerate() {
            self.stream.chunk.replace(chunk.clone());
            let is_last = self.ends_with_body && place + 1 == self.body.len();
            self.recorder
                .handle_response_body(exchange, chunk.len(), is_last, &self.stream);
        }

        if let Some(trailers) = &self.seen_trailers {
            let pairs: Vec<_> = trailers
                .iter()
                .map(|(name, value)| (text(name), value.as_slice()))
                .collect();
            self.recorder
                .handle_response_trailers(exchange, &serialized(&pairs));
        }

        returned
    }

    #[track_caller]
    pub(super) fn recorded(self) -> ExchangeRecord {
        *self.run().record.expect("nothing was recorded")
    }

    #[track_caller]
    pub(super) fn not_recorded(self) -> Run {
        let run = self.run();
        assert!(run.record.is_none(), "{:?}", run.record);
        run
    }

    #[track_caller]
    pub(super) fn rule(self, expected: Option<&str>) {
        let record = self.run().record;
        assert_eq!(record.as_ref().map(|record| &*record.rule), expected);
    }
}
