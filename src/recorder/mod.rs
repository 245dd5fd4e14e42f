//! The per-request hallway: request headers in, headers to remove and to set out; at the end of the stream one record or
//! none.

mod begin;
pub mod capture;
mod connections;
pub mod correlation;
pub mod credentials;
pub mod exchange;
mod finish;
pub mod flags;
pub mod gateway;
pub mod grpc;
pub mod headers;
pub mod identity;
mod matcher;
pub mod metadata;
pub mod outcome;
pub mod path;
pub mod policy;
pub mod query;
pub mod redact;
mod response;
pub mod response_json;
pub mod session;
pub mod token;
pub mod trace;
pub mod tracking;
pub mod trust;
mod wholeness;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use uuid::Uuid;

use crate::host::{Property, Stream};
use crate::record::{ExchangeRecord, Received, RequireAudit};
use crate::stats::{Counter, Stats};
use crate::time::Now;
use begin::Sighting;
use connections::Connections;
use correlation::Correlator;
use exchange::Exchange;
use finish::{End, Peer};
use headers::Headers;
use policy::Policy;
use trust::{Trust, Verdict};

/// What the recorder needs to know; fixed for the life of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// False: nothing is recorded, control headers are still removed.
    pub enabled: bool,
    /// The ordered rules.
    pub policy: Policy,
    /// The control headers.
    pub tracking: tracking::Settings,
    /// Whose control headers count.
    pub trust: Trust,
    /// Session ids and tokens.
    pub session: session::Settings,
    /// Who shares a session of correlation numbers.
    pub correlation_scope: correlation::Scope,
}

/// What the recorder may use while it handles one callback of a stream.
pub struct Host<'h> {
    /// What can be asked about the stream.
    pub stream: &'h dyn Stream,
    /// Reads the clocks. Not called when no rule matches.
    pub clock: &'h dyn Fn() -> Now,
    /// Makes a UUIDv4.
    pub fresh_id: &'h dyn Fn() -> Option<Uuid>,
    /// Hands out the pairs of the correlation headers.
    pub correlator: &'h mut Correlator,
    /// What is counted.
    pub stats: &'h mut Stats,
}

/// What the host must do with a request.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Instructions<'s> {
    /// Headers to remove, each with all its values.
    pub remove: Vec<&'s str>,
    /// Headers to set, after that.
    pub set: Vec<(&'s str, Vec<u8>)>,
    /// Headers that only a trusted peer may use came, and the direct peer cannot be known: the operator should hear of it.
    pub peer_unknown: bool,
    /// What is demanded before the request may go upstream. Other than nothing: ask for [`Recorder::received`].
    pub require_audit: RequireAudit,
}

/// Decides and records, one exchange at a time. Between exchanges it remembers only what is the same for all requests of
/// a connection.
#[derive(Debug)]
pub struct Recorder {
    settings: Settings,
    connections: Connections,
}

impl Recorder {
    /// A recorder for one configuration.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, connections: Connections::default() }
    }

    /// Takes the request headers: decides what to remove and to set, and whether a rule may want a record.
    ///
    /// Call [`Self::handle_end`] when the stream has ended.
    pub fn handle_request_headers(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        host: &mut Host<'_>,
    ) -> Instructions<'_> {
        let (presence, trusted) = self.judge(exchange, headers, host);
        let remove = self.removals(presence, trusted, host.stats);
        let set = self.begin(exchange, headers, Sighting { presence, trusted, seen: true }, host);
        Instructions {
            remove,
            set,
            peer_unknown: exchange.verdict() == Some(Verdict::Unknown),
            require_audit: exchange.audited().map_or(RequireAudit::None, |audited| audited.rule.require_audit),
        }
    }

    /// What can be recorded of a request that has not gone upstream yet; `None` when no rule wants a record.
    #[must_use]
    pub fn received(&self, exchange: &mut Exchange, stream: &dyn Stream) -> Option<Received> {
        let audited = exchange.audited()?.clone();
        let peer = self.peer(exchange, &audited.request, stream);
        Some(finish::received(audited, peer, stream))
    }

    /// Takes the request trailers: names the control headers to remove from them; the context, too, where the gateway
    /// role has set one.
    pub fn handle_request_trailers(
        &self,
        exchange: &mut Exchange,
        trailers: &Headers<'_>,
        host: &mut Host<'_>,
    ) -> Vec<&str> {
        let (presence, trusted) = self.judge(exchange, trailers, host);
        self.removals(presence, trusted && !exchange.is_spoken_for(), host.stats)
    }

    /// Takes the headers of a request whose stream ended before the filter saw it (an earlier filter answered).
    /// Nothing can be removed or set, since nothing went upstream.
    pub fn handle_unseen_request(&self, exchange: &mut Exchange, headers: &Headers<'_>, host: &mut Host<'_>) {
        let (presence, trusted) = self.judge(exchange, headers, host);
        self.begin(exchange, headers, Sighting { presence, trusted, seen: false }, host);
    }

    /// Whether [`Self::handle_response_headers`] has anything to do, so that the headers are worth a host call.
    #[must_use]
    pub fn wants_response_headers(&self, exchange: &Exchange) -> bool {
        exchange.audited().is_some_and(response::wants_headers)
    }

    /// Takes the response headers, where they are wanted: decides whether the body is read, and yields the id of a
    /// session that begins and has none, to be returned in [`session::ID_HEADER`].
    pub fn handle_response_headers(
        &self,
        exchange: &mut Exchange,
        headers: &Headers<'_>,
        stream: &dyn Stream,
        fresh_id: &dyn Fn() -> Option<Uuid>,
    ) -> Option<String> {
        response::begin_body(exchange, headers, stream);
        response::begin_session(exchange, headers, &self.settings.session, fresh_id)
    }

    /// Makes the record of an exchange that has ended; `None` when no rule wants it. Later calls yield `None`.
    pub fn handle_end(
        &self,
        exchange: &mut Exchange,
        stream: &dyn Stream,
        clock: &dyn Fn() -> Now,
        stats: &mut Stats,
    ) -> Option<Box<ExchangeRecord>> {
        let mut body = exchange.take_body();
        let audited = exchange.take()?;
        let response = stream.response_headers();
        let response = Headers::parse(&response);
        let ending = finish::Ending::read(&audited, &response, stream);
        if let Some(body) = &mut body
            && !ending.is_whole()
        {
            body.break_off();
        }
        if !audited.rule.wants(audited.request.protocol, ending.outcome, ending.http_status) {
            stats.add(Counter::Excluded, 1);
            return None;
        }
        let peer = self.peer(exchange, &audited.request, stream);
        let end = End { response: &response, body: body.as_deref(), peer, stream, clock };
        Some(Box::new(finish::record(*audited, ending, end)))
    }

    /// What is recorded of the other end of the connection.
    fn peer(&self, exchange: &mut Exchange, request: &exchange::Request, stream: &dyn Stream) -> Peer {
        let id = exchange.connection(stream);
        let source = || stream.property(Property::SourceAddress);
        Peer {
            protocol_version: self.connections.version(id, || stream.property(Property::Protocol)),
            client_address: self.connections.address(id, request.forwarded_for.as_deref(), source),
        }
    }
}
