//! The trust decision of an exchange, made at most once, and only if something depends on it.

use super::{TrustEvaluation, TrustLevel};
use crate::host::{Property, Stream};
use crate::recorder::exchange::Exchange;
use crate::recorder::headers::Headers;
use crate::recorder::tracking::Presence;
use crate::recorder::{Recorder, Services};
use crate::stats::Counter;

impl Recorder {
    /// Which of the names are present, and whether the peer may use them. The peer is checked only
    /// if a control header is present.
    pub(in crate::recorder) fn evaluate_trust(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        services: &mut Services<'_>,
    ) -> (Presence, bool) {
        let presence = Presence::of(headers, &self.tracking_names);

        (
            presence,
            self.are_trusted(exchange, presence.control_count(), services),
        )
    }

    /// Whether `count` headers count that only a trusted peer may send. The peer is checked at most
    /// once per exchange.
    pub(in crate::recorder) fn are_trusted(
        &self,
        exchange: &mut Exchange,
        count: u64,
        services: &mut Services<'_>,
    ) -> bool {
        if count == 0 {
            return true;
        }
        let trusted = self.trust_level(exchange, services.stream) == TrustLevel::Trusted;
        if !trusted {
            services.stats.add(Counter::HeadersSpoofed, count);
        }
        trusted
    }

    /// If another request of the connection was checked, the only host call is for the connection's
    /// number.
    pub(in crate::recorder) fn trust_level(
        &self,
        exchange: &mut Exchange,
        stream: &dyn Stream,
    ) -> TrustLevel {
        if let Some(level) = exchange.trust() {
            return level;
        }

        let id = exchange.connection(stream);
        let protocol = || stream.property(Property::Protocol);
        let level = self
            .connections
            .trust_level(id, || self.evaluate_peer(stream), protocol);

        exchange.set_trust(level);
        level
    }

    fn evaluate_peer(&self, stream: &dyn Stream) -> (TrustLevel, bool) {
        let TrustEvaluation { level, lasts, peer } = self.settings.trust.evaluate(stream);
        if let Some(peer) = peer.filter(|_| level != TrustLevel::Trusted) {
            self.distrust.note(peer);
        }
        (level, lasts)
    }
}
