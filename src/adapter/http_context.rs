//! One stream: hands its headers to the recorder, applies the removals, holds or refuses the request where its record is
//! required, and offers the record when the stream has ended.

use std::cell::LazyCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, MapType};

use super::held::refuse;
use super::hostcalls::{CurrentStream, HeaderMap, remove, response_chunk, set};
use super::random;
use super::root_context::Worker;
use crate::pipeline::admission::Admission;
use crate::pipeline::buffer::Place;
use crate::record::RequireAudit;
use crate::recorder::exchange::Exchange;
use crate::recorder::session;

/// The context of one stream.
pub(super) struct Http {
    id: u32,
    worker: Option<Rc<Worker>>,
    exchange: Exchange,
    /// Kept free for the record, where one is required.
    place: Option<Place>,
    /// Named while the request is held.
    ticket: Option<u64>,
}

impl Http {
    pub(super) fn new(id: u32, worker: Option<Rc<Worker>>) -> Self {
        Self { id, worker, exchange: Exchange::default(), place: None, ticket: None }
    }

    /// Lets a request go upstream, holds or refuses it, where its record is required.
    fn admit(&mut self, required: RequireAudit) -> Action {
        let Some(worker) = &self.worker else { return Action::Continue };
        let Some(received) = worker.recorder.received(&self.exchange, &CurrentStream) else { return Action::Continue };
        let now = worker.clock.now();
        match worker.with_pipeline(|pipeline| pipeline.admit(required, received, now)) {
            Admission::Proceed(place) => {
                self.place = Some(place);
                Action::Continue
            }
            Admission::Hold { ticket, place, wakes } => {
                (self.place, self.ticket) = (Some(place), Some(ticket));
                worker.held.hold(ticket, self.id);
                if wakes {
                    worker.wake();
                }
                Action::Pause
            }
            Admission::Refuse => {
                refuse(required);
                Action::Pause
            }
        }
    }

    fn note_end(&mut self, end_of_stream: bool) {
        if end_of_stream {
            self.exchange.handle_response_complete();
        }
    }
}

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        let Some(worker) = &self.worker else { return Action::Continue };
        let map = HeaderMap::read(MapType::HttpRequestHeaders);
        #[cfg(feature = "crash-for-tests")]
        super::crash::trap_if_asked(&map.headers(), "headers");
        let exchange = &mut self.exchange;
        let instructions = worker.with_pipeline(|pipeline| {
            let instructions = worker.with_host(&mut pipeline.stats, &|| worker.clock.now(), |host| {
                worker.recorder.handle_request_headers(exchange, &map.headers(), host)
            });
            if instructions.peer_unknown {
                pipeline.handle_unknown_peer();
            }
            instructions
        });
        remove(MapType::HttpRequestHeaders, &instructions.remove);
        set(MapType::HttpRequestHeaders, &instructions.set);
        let required = instructions.require_audit;
        if required == RequireAudit::None { Action::Continue } else { self.admit(required) }
    }

    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        let Some(worker) = &self.worker else { return Action::Continue };
        let map = HeaderMap::read(MapType::HttpRequestTrailers);
        let exchange = &mut self.exchange;
        let names = worker.with_pipeline(|pipeline| {
            worker.with_host(&mut pipeline.stats, &|| worker.clock.now(), |host| {
                worker.recorder.handle_request_trailers(exchange, &map.headers(), host)
            })
        });
        remove(MapType::HttpRequestTrailers, &names);
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _num_headers: usize, end_of_stream: bool) -> Action {
        self.note_end(end_of_stream);
        let Some(worker) = &self.worker else { return Action::Continue };
        let recorder = &worker.recorder;
        if recorder.wants_response_headers(&self.exchange) {
            let map = HeaderMap::read(MapType::HttpResponseHeaders);
            let fresh_id = &|| random::uuid().ok();
            let made = recorder.handle_response_headers(&mut self.exchange, &map.headers(), &CurrentStream, fresh_id);
            if let Some(id) = made {
                set(MapType::HttpResponseHeaders, &[(session::ID_HEADER, id.into_bytes())]);
            }
        }
        Action::Continue
    }

    /// Never pauses: each callback sees one chunk, which goes on to the client at once.
    fn on_http_response_body(&mut self, body_size: usize, end_of_stream: bool) -> Action {
        let chunk = response_chunk(self.exchange.wants_of_chunk(body_size));
        self.exchange.handle_response_chunk(&chunk, body_size);
        self.note_end(end_of_stream);
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _num_trailers: usize) -> Action {
        self.note_end(true);
        Action::Continue
    }

    /// Runs exactly once for every stream, also for those that ended before the filter saw them.
    fn on_log(&mut self) {
        let Some(worker) = &self.worker else { return };
        #[cfg(feature = "crash-for-tests")]
        super::crash::trap_if_asked(&HeaderMap::read(MapType::HttpRequestHeaders).headers(), "log");
        let exchange = &mut self.exchange;
        let unseen = (!exchange.is_seen()).then(|| HeaderMap::read(MapType::HttpRequestHeaders));
        let now = LazyCell::new(|| worker.clock.now());
        let wakes = worker.with_pipeline(|pipeline| {
            if let Some(map) = &unseen {
                worker.with_host(&mut pipeline.stats, &|| *now, |host| {
                    worker.recorder.handle_unseen_request(exchange, &map.headers(), host);
                });
            }
            let record = worker.recorder.handle_end(exchange, &CurrentStream, &|| *now, &mut pipeline.stats);
            if let Some(ticket) = self.ticket {
                pipeline.handle_request_gone(ticket);
                worker.held.forget(ticket);
            }
            let Some(record) = record else {
                pipeline.handle_no_exchange(self.place.take());
                return false;
            };
            pipeline.handle_exchange(record, self.place.take(), *now)
        });
        if wakes {
            worker.wake();
        }
    }
}
