//! The response in progress, for values from its body and for new sessions. Not in the lean
//! artefact.

use proxy_wasm::types::MapType;

use super::hostcalls::{CurrentStream, HeaderMap, set};
use super::http_context::Http;
use super::random;
use crate::recorder::session;

impl Http {
    pub(super) fn on_response_headers(&mut self, end_of_stream: bool) {
        let Some(worker) = &self.worker else { return };
        let recorder = &worker.recorder;
        if recorder.handle_response(&mut self.exchange, end_of_stream) {
            let map = HeaderMap::read(MapType::HttpResponseHeaders).into_bytes();
            let fresh_id = &|| random::uuid().ok();
            let made =
                recorder.handle_response_headers(&mut self.exchange, map, &CurrentStream, fresh_id);

            if let Some(id) = made {
                set(
                    MapType::HttpResponseHeaders,
                    &[(session::ID_HEADER, id.into_bytes())],
                );
            }
        }
    }

    pub(super) fn on_response_body(&mut self, body_size: usize, end_of_stream: bool) {
        let Some(worker) = &self.worker else { return };
        worker.recorder.handle_response_body(
            &mut self.exchange,
            body_size,
            end_of_stream,
            &CurrentStream,
        );
    }
}
