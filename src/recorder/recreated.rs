//! Exchanges that continue after their stream ended, because Envoy recreated the stream. It does so
//! for an internal redirect, or if a filter requests it. The new stream starts as a separate
//! request.

use std::time::Duration;

use super::exchange::Exchange;
use super::headers::Headers;
use crate::host::Stream;

/// Upper bound of exchanges that wait for their new stream. It begins at once, unless an earlier
/// filter delays it.
pub const MAX_WAITING: usize = 256;

/// Longest wait for the new stream; after it the exchange counts as aborted.
const PATIENCE: Duration = Duration::from_secs(60);

/// Exchanges that wait for their new stream, each with data of the caller.
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
    /// Whether none waits, so that requests need no comparison.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Keeps an exchange while its stream still exists. Returns the oldest one if there are too
    /// many.
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

    /// The exchange that a request continues: same connection, `x-request-id` and path. The id
    /// alone is not enough, since a client may choose it.
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

    /// The next exchange that has waited too long.
    pub fn expire(&mut self, now: Duration) -> Option<(Exchange, T)> {
        let oldest = self.waiting.first()?;
        let is_late = now.saturating_sub(oldest.since) >= PATIENCE;
        is_late
            .then(|| self.waiting.remove(0))
            .map(|late| (late.exchange, late.kept))
    }
}
