//! Request callbacks: headers to remove and set, and whether a record is required first.

use super::candidates::RequestContext;
use super::exchange::Exchange;
use super::headers::Headers;
use super::tracking::Presence;
use super::{Recorder, Services};
use crate::record::RequireAudit;
use crate::stats::{Counter, Stats};

/// Instructions to the host for a request.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Instructions<'s> {
    /// Headers to remove, each with all its values.
    pub remove: Vec<&'s str>,
    /// Headers to set, after the removal.
    pub set: Vec<(&'s str, Vec<u8>)>,
    /// Requirement before the request may go upstream. Unless it is `None`, call
    /// [`Recorder::received`].
    pub require_audit: RequireAudit,
}

impl Recorder {
    /// Takes the request headers: returns the headers to remove and set, and whether a record is
    /// required first.
    ///
    /// Call [`Self::handle_end`] when the stream has ended.
    pub fn handle_request_headers(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        services: &mut Services<'_>,
    ) -> Instructions<'_> {
        services.stats.add(Counter::RequestsSeen, 1);
        self.take_request(exchange, headers, services)
    }

    fn take_request(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        services: &mut Services<'_>,
    ) -> Instructions<'_> {
        let (presence, trusted) = self.evaluate_trust(exchange, headers, services);
        let remove = self.removals(presence, trusted, services.stats);
        let set = self.begin(
            exchange,
            headers,
            RequestContext {
                presence,
                trusted,
                on_request_path: true,
            },
            services,
        );

        Instructions {
            remove,
            set,
            require_audit: exchange
                .audited()
                .map_or(RequireAudit::None, |audited| audited.subject.required()),
        }
    }

    /// Takes the request headers of a recreated stream that continues an exchange. Headers that
    /// this filter removed are gone; headers that it set are present and its own.
    pub fn handle_recreated_request(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        services: &mut Services<'_>,
    ) -> Instructions<'_> {
        if !exchange.is_decided() {
            return self.take_request(exchange, headers, services);
        }

        // The control headers are still present if an earlier filter responded to the first stream.
        let mut remove = Vec::new();
        if !exchange.is_set_by_gateway() {
            let (presence, trusted) = self.evaluate_trust(exchange, headers, services);
            remove = self.removals(presence, trusted, services.stats);
        }

        let pair = exchange
            .audited()
            .and_then(|audited| audited.subject.correlation);
        let set = pair
            .into_iter()
            .flat_map(|pair| self.correlation_headers(pair))
            .collect();

        Instructions {
            remove,
            set,
            require_audit: RequireAudit::None,
        }
    }

    /// Takes the request trailers: returns the control headers to remove from them. The context is
    /// included if the gateway role set one.
    pub fn handle_request_trailers(
        &self,
        exchange: &mut Exchange,
        trailers: &Headers<'_>,
        services: &mut Services<'_>,
    ) -> Vec<&str> {
        let (presence, trusted) = self.evaluate_trust(exchange, trailers, services);

        self.removals(
            presence,
            trusted && !exchange.is_set_by_gateway(),
            services.stats,
        )
    }

    /// Takes the headers of a request whose stream ended before the filter was called (an earlier
    /// filter responded). Nothing went upstream, so there are no headers to remove or set.
    pub fn handle_unseen_request(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        services: &mut Services<'_>,
    ) {
        services.stats.add(Counter::RequestsSeen, 1);
        let (presence, trusted) = self.evaluate_trust(exchange, headers, services);

        self.begin(
            exchange,
            headers,
            RequestContext {
                presence,
                trusted,
                on_request_path: false,
            },
            services,
        );
    }

    fn removals(&self, presence: Presence, trusted: bool, stats: &Stats) -> Vec<&str> {
        let remove = presence.to_remove(&self.settings.tracking, trusted);
        stats.add(Counter::HeadersStripped, remove.len() as u64);
        remove
    }
}
