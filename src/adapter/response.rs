//! The response on its way, for the rules that read its body or begin a session. Not in the lean artefact.

use super::abi::Map;
use super::hostcalls::{CurrentStream, HeaderMap, response_chunk, set};
use super::http_context::Http;
use super::random;
use crate::recorder::session;

impl Http {
    pub(super) fn on_response_headers(&mut self) {
        let Some(worker) = &self.worker else { return };
        let recorder = &worker.recorder;
        if recorder.wants_response_headers(&self.exchange) {
            let map = HeaderMap::read(Map::ResponseHeaders);
            let fresh_id = &|| random::uuid().ok();
            let made = recorder.handle_response_headers(&mut self.exchange, &map.headers(), &CurrentStream, fresh_id);
            if let Some(id) = made {
                set(Map::ResponseHeaders, &[(session::ID_HEADER, id.into_bytes())]);
            }
        }
    }

    pub(super) fn on_response_body(&mut self, body_size: usize) {
        let chunk = response_chunk(self.exchange.wants_of_chunk(body_size));
        self.exchange.handle_response_chunk(&chunk, body_size);
    }
}
