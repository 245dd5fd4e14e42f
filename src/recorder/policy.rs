//! Ordered rules: the first one whose conditions all hold decides whether and how an exchange is recorded.

use std::rc::Rc;

use super::capture::Capture;
use super::gateway::SetTracking;
use super::headers::{Headers, is_same};
pub use super::matcher::Policy;
use super::path::Template;
use super::session::SessionEvent;
use super::{identity, outcome};
use crate::record::{Outcome, Protocol, RequireAudit};

/// One entry of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Unique name; recorded as `audit.rule`.
    pub name: Rc<str>,
    /// What a request must be like.
    pub conditions: Conditions,
    /// False for `level: none`: the request matches, and nothing is recorded.
    pub recorded: bool,
    /// Fixed action; otherwise it is derived from the request.
    pub action: Option<String>,
    /// Outcomes that are recorded.
    pub record_on: Vec<Outcome>,
    /// HTTP statuses that are recorded; empty: any. Not asked for gRPC.
    pub http_statuses: Vec<StatusRange>,
    /// Outcomes whose record waits for no timer.
    pub immediate_on: Vec<Outcome>,
    /// What is demanded before a request may go upstream.
    pub require_audit: RequireAudit,
    /// Where the user comes from.
    pub identity: Rc<identity::Settings>,
    /// What a request that succeeds is to its session.
    pub session: Option<SessionEvent>,
    /// Whether the correlation headers are set.
    pub correlate: bool,
    /// Values that are asked for by name.
    pub capture: Capture,
    /// What the next hop is told; `None` but in the gateway role.
    pub set_tracking: Option<SetTracking>,
    /// Static attributes, `audit.tag.<name>`.
    pub tags: Rc<[(String, String)]>,
    /// Attributes that cost a host call each and are asked for.
    pub extra_fields: ExtraFields,
}

/// How an exchange ended, as far as rules look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// What the server did.
    pub outcome: Outcome,
    /// Its HTTP status, where it has answered.
    pub http_status: Option<u16>,
    /// The outcome says less than what the server may have done: the client left before a status, or the status cannot
    /// be read.
    pub may_be_success: bool,
}

/// Inclusive range of HTTP statuses: `200`, or `2xx` as 200 to 299.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    /// Lowest status.
    pub first: u16,
    /// Highest status.
    pub last: u16,
}

/// Attributes that are recorded only on demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtraFields {
    /// `audit.upstream.cluster`
    pub upstream_cluster: bool,
    /// `audit.peer.uri_san`
    pub peer_uri_san: bool,
    /// `audit.response.flags`, also on success.
    pub response_flags: bool,
    /// `audit.response.code_details`, also on success.
    pub response_code_details: bool,
}

/// All of these must hold; an absent one always does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// HTTP or gRPC only.
    pub protocol: Option<Protocol>,
    /// One of these hosts.
    pub hosts: Vec<HostPattern>,
    /// One of these methods.
    pub methods: Vec<String>,
    /// The normalized path.
    pub path: Option<PathPattern>,
    /// Each of these headers.
    pub headers: Vec<HeaderCondition>,
    /// Whether the request is tracked.
    pub tracked: Option<bool>,
}

/// A host name without port, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// This host.
    Exact(String),
    /// Hosts that end so; from `*.internal`: `.internal`.
    Suffix(String),
}

/// How a path is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// The whole path.
    Exact(String),
    /// Its start.
    Prefix(String),
    /// Its end.
    Suffix(String),
    /// Its segments.
    Template(Template),
}

/// A condition on one header; with several values one of them is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderCondition {
    /// Lower-case name.
    pub name: String,
    /// What its value must be like.
    pub value: ValuePattern,
}

/// How a header value is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValuePattern {
    /// The whole value.
    Exact(String),
    /// Its start.
    Prefix(String),
    /// Its end.
    Suffix(String),
    /// A part of it.
    Contains(String),
    /// Any value (true), or no such header (false).
    Present(bool),
}

/// What the conditions look at.
#[derive(Debug)]
pub struct RequestHead<'a> {
    /// All headers.
    pub headers: &'a Headers<'a>,
    /// `:method`
    pub method: &'a [u8],
    /// Normalized path.
    pub path: &'a [u8],
    /// `:authority` as received.
    pub authority: &'a [u8],
    /// By the control headers of a trusted peer.
    pub tracked: bool,
}

impl Rule {
    /// Whether an exchange that ended so is recorded.
    ///
    /// `may_be_success`: what the server did is not known, and may have been a success. Then a rule that wants successes
    /// wants it too, or a client could avoid a record by leaving early.
    #[must_use]
    pub fn wants(&self, protocol: Protocol, end: &End) -> bool {
        let fits = self.record_on.contains(&end.outcome);
        let may_fit = end.may_be_success && self.record_on.contains(&Outcome::Success);
        (fits || may_fit) && (protocol == Protocol::Grpc || self.wants_status(end))
    }

    fn wants_status(&self, end: &End) -> bool {
        let fits = |status: u16| self.http_statuses.iter().any(|range| range.contains(status));
        self.http_statuses.is_empty() || end.http_status.map_or(end.may_be_success, fits)
    }

    /// Whether an answer with this HTTP status can still become a record.
    #[must_use]
    pub fn may_want(&self, http_status: Option<u16>) -> bool {
        let outcome = http_status.map_or(Outcome::Aborted, outcome::of_status);
        let ends = [outcome, Outcome::Aborted].map(|outcome| End { outcome, http_status, may_be_success: false });
        ends.iter().any(|end| self.wants(Protocol::Http, end))
    }

    /// Whether some end of an exchange is not recorded.
    #[must_use]
    pub fn may_not_want(&self) -> bool {
        /// All of [`Outcome`].
        const OUTCOMES: usize = 4;
        self.record_on.len() < OUTCOMES || !self.http_statuses.is_empty()
    }

    /// Whether the rule is for exchanges that are read so.
    #[must_use]
    pub fn is_for(&self, protocol: Protocol) -> bool {
        self.conditions.protocol.is_none_or(|of| of == protocol)
    }

    /// Whether every record of this rule waits for no timer.
    #[must_use]
    pub fn is_always_immediate(&self) -> bool {
        self.record_on.iter().all(|outcome| self.immediate_on.contains(outcome))
    }

    /// Whether this rule was asked for by the track header.
    #[must_use]
    pub fn is_triggered_by_tracking(&self) -> bool {
        self.conditions.tracked == Some(true)
    }

    /// The template that matched, for `http.route`.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        match &self.conditions.path {
            Some(PathPattern::Template(template)) => Some(template.text()),
            _ => None,
        }
    }
}

impl StatusRange {
    fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

impl Conditions {
    /// Whether all hold but the protocol, which is known at the end of an exchange.
    pub(super) fn hold(&self, request: &RequestHead<'_>) -> bool {
        self.tracked.is_none_or(|tracked| tracked == request.tracked)
            && (self.methods.is_empty() || self.methods.iter().any(|method| method.as_bytes() == request.method))
            && self.path.as_ref().is_none_or(|pattern| pattern.matches(request.path))
            && (self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.matches(host(request.authority))))
            && self.headers.iter().all(|condition| condition.holds(request.headers))
    }
}

/// An authority without its port.
#[must_use]
pub fn host(authority: &[u8]) -> &[u8] {
    let digits = authority.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let end = authority.len().saturating_sub(digits);
    authority.get(..end).and_then(|start| start.strip_suffix(b":")).unwrap_or(authority)
}

/// Host and port of an authority.
pub(super) fn host_and_port(authority: &[u8]) -> (&[u8], Option<u16>) {
    let host = host(authority);
    let port = authority.get(host.len() + 1..).and_then(|port| str::from_utf8(port).ok()?.parse().ok());
    (host, port)
}

impl HostPattern {
    fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(name) => host.eq_ignore_ascii_case(name.as_bytes()),
            Self::Suffix(end) => {
                let start = host.len().checked_sub(end.len()).filter(|start| *start > 0);
                start.and_then(|start| host.get(start..)).is_some_and(|rest| rest.eq_ignore_ascii_case(end.as_bytes()))
            }
        }
    }
}

impl PathPattern {
    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(text) => is_same(path, text.as_bytes()),
            Self::Prefix(text) => path.get(..text.len()).is_some_and(|start| is_same(start, text.as_bytes())),
            Self::Suffix(text) => {
                let start = path.len().checked_sub(text.len());
                start.and_then(|start| path.get(start..)).is_some_and(|end| is_same(end, text.as_bytes()))
            }
            Self::Template(template) => template.matches(path),
        }
    }
}

impl HeaderCondition {
    fn holds(&self, headers: &Headers<'_>) -> bool {
        match &self.value {
            ValuePattern::Present(present) => headers.has(&self.name) == *present,
            pattern => headers.all(&self.name).any(|value| pattern.matches(value)),
        }
    }
}

impl ValuePattern {
    fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => value == text.as_bytes(),
            Self::Prefix(text) => value.starts_with(text.as_bytes()),
            Self::Suffix(text) => value.ends_with(text.as_bytes()),
            Self::Contains(text) => text.is_empty() || value.windows(text.len()).any(|part| part == text.as_bytes()),
            Self::Present(present) => *present,
        }
    }
}
