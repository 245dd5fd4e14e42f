//! The callbacks of one stream, as the SDK's dispatcher makes them.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::http_context::Http;
use super::worker::Worker;

/// The dispatcher's context of a stream. The worker reaches the stream, too, to report it while it
/// goes on.
pub(super) struct HttpStream {
    id: u32,
    http: Rc<RefCell<Http>>,
}

impl HttpStream {
    pub(super) fn new(id: u32, worker: Option<Rc<Worker>>) -> Self {
        Self {
            id,
            http: Rc::new(RefCell::new(Http::new(id, worker))),
        }
    }

    /// Lets the worker reach the stream while it is watched.
    fn register(&self) {
        let http = self.http.borrow();
        if let Some(worker) = http.watched_by() {
            let http = Rc::downgrade(&self.http);
            worker.watched.borrow_mut().add(self.id, http);
        }
    }
}

impl Context for HttpStream {
    fn on_done(&mut self) -> bool {
        self.http.borrow_mut().on_done();
        true
    }
}

impl HttpContext for HttpStream {
    fn on_http_request_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        let action = self.http.borrow_mut().on_request_headers();
        self.register();
        action
    }

    fn on_http_request_trailers(&mut self, _trailers: usize) -> Action {
        self.http.borrow_mut().on_request_trailers();
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _headers: usize, end_of_stream: bool) -> Action {
        self.http.borrow_mut().on_response_headers(end_of_stream);
        Action::Continue
    }

    /// Never pauses: each call sees one chunk, which goes on to the client at once.
    fn on_http_response_body(&mut self, body_size: usize, end_of_stream: bool) -> Action {
        self.http
            .borrow_mut()
            .on_response_body(body_size, end_of_stream);
        Action::Continue
    }

    /// Called only for a response with trailers: nearly every gRPC response, and hardly any other.
    fn on_http_response_trailers(&mut self, _trailers: usize) -> Action {
        self.http.borrow_mut().on_response_trailers();
        Action::Continue
    }

    /// Called once per stream, also for one that ended before the filter saw it.
    fn on_log(&mut self) {
        self.http.borrow_mut().on_log();
    }
}
