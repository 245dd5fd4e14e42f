//! Exchanges whose stream has ended and that go on: Envoy has recreated the stream, for an internal redirect or since a
//! filter demanded it. The new stream begins as a request of its own.

use std::time::Duration;

use super::exchange::Exchange;
use super::headers::Headers;
use crate::host::Stream;

/// Most exchanges that wait for their new stream. It begins at once, unless an earlier filter holds it.
pub const MAX_WAITING: usize = 256;

/// How long an exchange waits for its new stream. Then it counts as aborted.
const PATIENCE: Duration = Duration::from_secs(60);

/// Exchanges that wait for their new stream, each with what the caller keeps for it.
#[derive(Debug)]
pub struct Recreated<T> {
    waiting: Vec<Waiting<T>>,
}

#[derive(Debug)]
struct Waiting<T> {
    connection: Option<u64>,
    request_id: Vec<u8>,
    path: Vec<u8>,
    since: Duration,
    exchange: Exchange,
    kept: T,
}

impl<T> Default for Recreated<T> {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
        }
    }
}

impl<T> Recreated<T> {
    /// Whether none waits, so that a request need not be compared.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Keeps an exchange, whose stream is still there. Yields the oldest one when there are too many.
    pub fn suspend(
        &mut self,
        mut exchange: Exchange,
        kept: T,
        stream: &dyn Stream,
        now: Duration,
    ) -> Option<(Exchange, T)> {
        let map = stream.request_headers();
        let headers = Headers::parse(&map);
        let text = |name| headers.first(name).unwrap_or_default().to_vec();
        let (connection, request_id, path) = (
            exchange.connection(stream),
            text("x-request-id"),
            text(":path"),
        );
        let full = (self.waiting.len() >= MAX_WAITING).then(|| self.waiting.remove(0));
        self.waiting.push(Waiting {
            connection,
            request_id,
            path,
            since: now,
            exchange,
            kept,
        });
        full.map(|oldest| (oldest.exchange, oldest.kept))
    }

    /// The exchange that a request goes on with: of the same connection, with the same `x-request-id` and path. A client
    /// may choose the id, so it is not enough.
    pub fn resume(
        &mut self,
        headers: &Headers<'_>,
        connection: Option<u64>,
    ) -> Option<(Exchange, T)> {
        let [request_id, path] =
            ["x-request-id", ":path"].map(|name| headers.first(name).unwrap_or_default());
        let is_it = |waiting: &Waiting<T>| {
            waiting.connection == connection
                && waiting.request_id == request_id
                && waiting.path == path
        };
        let place = self.waiting.iter().position(is_it)?;
        let Waiting { exchange, kept, .. } = self.waiting.remove(place);
        Some((exchange, kept))
    }

    /// The next exchange that has waited for too long.
    pub fn expire(&mut self, now: Duration) -> Option<(Exchange, T)> {
        let oldest = self.waiting.first()?;
        let is_late = now.saturating_sub(oldest.since) >= PATIENCE;
        is_late
            .then(|| self.waiting.remove(0))
            .map(|late| (late.exchange, late.kept))
    }
}
