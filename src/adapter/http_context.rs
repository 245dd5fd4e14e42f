//! One stream: passes its headers to the recorder, and applies the removals. Holds or refuses the
//! request where its record is required, and offers the record when the stream has ended.

use std::cell::{LazyCell, RefCell};
use std::mem;
use std::rc::Rc;

use proxy_wasm::types::{Action, MapType};

use super::held::refuse;
use super::hostcalls::{CurrentStream, HeaderMap, remove, set};
use super::watched::Ongoing;
use super::worker::Worker;
use crate::host::{Property, Stream};
use crate::pipeline::admission::Admission;
use crate::pipeline::buffer::Reservation;
use crate::record::RequireAudit;
use crate::recorder::exchange::Exchange;
use crate::recorder::headers::Headers;

/// The context of one stream.
pub(super) struct Http {
    id: u32,
    /// `None` while the root context has no configuration: the stream is then ignored.
    pub(super) worker: Option<Rc<Worker>>,
    pub(super) exchange: Exchange,
    /// For the record, where one is required.
    reservation: Option<Reservation>,
    /// Present while the request is held.
    ticket: Option<u64>,
    /// The end of the stream was logged.
    has_ended: bool,
}

impl Http {
    pub(super) fn new(id: u32, worker: Option<Rc<Worker>>) -> Self {
        Self {
            id,
            worker,
            exchange: Exchange::default(),
            reservation: None,
            ticket: None,
            has_ended: false,
        }
    }

    pub(super) fn on_request_headers(&mut self) -> Action {
        let Some(worker) = self.worker.clone() else {
            return Action::Continue;
        };
        let map = HeaderMap::read(MapType::HttpRequestHeaders);
        let headers = map.headers();
        #[cfg(feature = "crash-for-tests")]
        super::crash::trap_if_asked(&headers, "headers");

        let is_recreated = self.resume(&worker, &headers);
        let exchange = &mut self.exchange;
        let instructions = worker.with_host(|host| {
            if is_recreated {
                worker
                    .recorder
                    .handle_recreated_request(exchange, &headers, host)
            } else {
                worker
                    .recorder
                    .handle_request_headers(exchange, &headers, host)
            }
        });

        remove(MapType::HttpRequestHeaders, &instructions.remove);
        set(MapType::HttpRequestHeaders, &instructions.set);
        self.watch(&worker);

        let required = instructions.require_audit;
        if required == RequireAudit::None {
            Action::Continue
        } else {
            self.admit(required)
        }
    }

    /// Continues the exchange of another stream that Envoy has recreated as this one.
    fn resume(&mut self, worker: &Worker, headers: &Headers<'_>) -> bool {
        let mut recreated = worker.recreated.borrow_mut();
        if recreated.is_empty() {
            return false;
        }

        let connection = CurrentStream.number(Property::ConnectionId);
        let Some((exchange, reservation)) = recreated.resume(headers, connection) else {
            return false;
        };

        (self.exchange, self.reservation) = (exchange, reservation);
        true
    }

    /// Registers the exchange for a report if it takes long.
    fn watch(&mut self, worker: &Worker) {
        if let Some(start) = worker.recorder.watched_from(&self.exchange) {
            let slot = worker.ongoing.borrow_mut().add(self.id, start);
            self.exchange.watch(slot);
        }
    }

    /// The worker, if it reports the exchange when it takes long.
    pub(super) fn watched_by(&self) -> Option<&Worker> {
        self.worker
            .as_deref()
            .filter(|_| self.exchange.is_watched())
    }

    /// Lets a request go upstream, holds or refuses it, where its record is required.
    fn admit(&mut self, required: RequireAudit) -> Action {
        let Some(worker) = &self.worker else {
            return Action::Continue;
        };
        let Some(received) = worker.recorder.received(&mut self.exchange, &CurrentStream) else {
            return Action::Continue;
        };

        let now = worker.clock.now();
        match worker.with_pipeline(|pipeline| pipeline.admit(required, received, now)) {
            Admission::Proceed(reservation) => {
                self.reservation = Some(reservation);
                Action::Continue
            }
            Admission::Hold {
                ticket,
                reservation,
                wakes,
            } => {
                (self.reservation, self.ticket) = (Some(reservation), Some(ticket));
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
        let map = HeaderMap::read(MapType::HttpRequestTrailers);
        let exchange = &mut self.exchange;
        let names = worker.with_host(|host| {
            worker
                .recorder
                .handle_request_trailers(exchange, &map.headers(), host)
        });

        remove(MapType::HttpRequestTrailers, &names);
    }

    pub(super) fn on_response_trailers(&mut self) {
        let Some(worker) = &self.worker else { return };
        if worker.recorder.wants_response_trailers(&self.exchange) {
            let map = HeaderMap::read(MapType::HttpResponseTrailers).into_bytes();
            worker
                .recorder
                .handle_response_trailers(&mut self.exchange, &map);
        }
    }

    pub(super) fn on_log(&mut self) {
        #[cfg(feature = "crash-for-tests")]
        super::crash::trap_if_asked(
            &HeaderMap::read(MapType::HttpRequestHeaders).headers(),
            "log",
        );

        if self.exchange.is_over() {
            return;
        }
        let Some(worker) = self.worker.clone() else {
            return;
        };

        if !self.exchange.is_seen() {
            self.begin_at_the_end(&worker);
        }
        self.end(&worker);
    }

    /// The last call of a stream. Over HTTP/3 it is the only one at its end.
    pub(super) fn on_done(&mut self) {
        if self.exchange.is_over() && self.reservation.is_none() && self.ticket.is_none() {
            return;
        }
        let Some(worker) = self.worker.clone() else {
            return;
        };

        if !self.has_ended && self.exchange.is_quic() {
            self.end(&worker);
        }

        self.release(&worker);
        let reservation = self.reservation.take();
        worker.with_pipeline(|pipeline| pipeline.handle_no_exchange(reservation));
    }

    /// Handles the request of a stream that an earlier filter has answered.
    fn begin_at_the_end(&mut self, worker: &Worker) {
        let map = HeaderMap::read(MapType::HttpRequestHeaders);
        let headers = map.headers();
        if self.resume(worker, &headers) {
            return;
        }

        let exchange = &mut self.exchange;
        worker.with_host(|host| {
            worker
                .recorder
                .handle_unseen_request(exchange, &headers, host);
        });
    }

    fn end(&mut self, worker: &Worker) {
        self.has_ended = true;
        self.release(worker);

        let now = LazyCell::new(|| worker.clock.now());
        let ended =
            worker
                .recorder
                .handle_end(&mut self.exchange, &CurrentStream, &|| *now, &worker.stats);
        let goes_on = ended.is_recreated && ended.record.is_none();
        let reservation = if goes_on {
            None
        } else {
            self.reservation.take()
        };
        let wakes = worker.offer_record(ended.record, reservation, &|| *now);

        if ended.is_recreated {
            self.suspend(worker);
        }
        if wakes {
            worker.wake();
        }
    }

    /// Keeps the exchange for the stream that Envoy recreates from this one. A request answered by
    /// an earlier filter did not reach this filter: its exchange begins with the new stream.
    fn suspend(&mut self, worker: &Worker) {
        if !self.exchange.is_on_request_path() {
            return;
        }

        let (exchange, reservation) = (mem::take(&mut self.exchange), self.reservation.take());
        let now = worker.clock.now().uptime;
        let lost =
            worker
                .recreated
                .borrow_mut()
                .suspend(exchange, reservation, &CurrentStream, now);

        if let Some((exchange, reservation)) = lost {
            worker.end_lost(exchange, reservation);
        }
    }

    /// Removes the stream from the lists of ongoing exchanges and of held requests.
    fn release(&mut self, worker: &Worker) {
        if let Some(slot) = self.exchange.unwatch() {
            worker.ongoing.borrow_mut().remove(slot);
            worker.watched.borrow_mut().remove(self.id);
        }
        if let Some(ticket) = self.ticket.take() {
            worker.with_pipeline(|pipeline| pipeline.handle_request_gone(ticket));
            worker.held.forget(ticket);
        }
    }
}

impl Ongoing for RefCell<Http> {
    fn report_started(&self) {
        let http = &mut *self.borrow_mut();
        let Some(worker) = &http.worker else { return };
        let now = worker.clock.now();
        let record = worker.recorder.started(&mut http.exchange, &CurrentStream);
        let number = record.and_then(|record| {
            worker.with_pipeline(|pipeline| pipeline.handle_started(record, now))
        });
        http.exchange.started(number);
    }
}
