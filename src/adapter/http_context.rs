//! One stream: hands its headers to the recorder, applies the removals, holds or refuses the request where its record is
//! required, and offers the record when the stream has ended.

use std::cell::LazyCell;
use std::rc::Rc;

use super::abi::{Action, Map};
use super::held::refuse;
use super::hostcalls::{CurrentStream, HeaderMap, remove, set};
use super::root_context::Worker;
use crate::pipeline::admission::Admission;
use crate::pipeline::buffer::Place;
use crate::record::RequireAudit;
use crate::recorder::exchange::Exchange;

/// The context of one stream.
pub(super) struct Http {
    id: u32,
    /// `None` while the root context has no configuration: nothing is done then.
    pub(super) worker: Option<Rc<Worker>>,
    pub(super) exchange: Exchange,
    /// Kept free for the record, where one is required.
    place: Option<Place>,
    /// Named while the request is held.
    ticket: Option<u64>,
}

impl Http {
    pub(super) fn new(id: u32, worker: Option<Rc<Worker>>) -> Self {
        Self { id, worker, exchange: Exchange::default(), place: None, ticket: None }
    }

    pub(super) fn on_request_headers(&mut self) -> Action {
        let Some(worker) = &self.worker else { return Action::Continue };
        let map = HeaderMap::read(Map::RequestHeaders);
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
        remove(Map::RequestHeaders, &instructions.remove);
        set(Map::RequestHeaders, &instructions.set);
        let required = instructions.require_audit;
        if required == RequireAudit::None { Action::Continue } else { self.admit(required) }
    }

    /// Lets a request go upstream, holds or refuses it, where its record is required.
    fn admit(&mut self, required: RequireAudit) -> Action {
        let Some(worker) = &self.worker else { return Action::Continue };
        let Some(received) = worker.recorder.received(&mut self.exchange, &CurrentStream) else {
            return Action::Continue;
        };
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

    pub(super) fn on_request_trailers(&mut self) {
        let Some(worker) = &self.worker else { return };
        let map = HeaderMap::read(Map::RequestTrailers);
        let exchange = &mut self.exchange;
        let names = worker.with_pipeline(|pipeline| {
            worker.with_host(&mut pipeline.stats, &|| worker.clock.now(), |host| {
                worker.recorder.handle_request_trailers(exchange, &map.headers(), host)
            })
        });
        remove(Map::RequestTrailers, &names);
    }

    pub(super) fn on_log(&mut self) {
        let Some(worker) = &self.worker else { return };
        #[cfg(feature = "crash-for-tests")]
        super::crash::trap_if_asked(&HeaderMap::read(Map::RequestHeaders).headers(), "log");
        let exchange = &mut self.exchange;
        let unseen = (!exchange.is_seen()).then(|| HeaderMap::read(Map::RequestHeaders));
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
