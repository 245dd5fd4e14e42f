//! Ordered rules: the first one whose conditions all hold decides whether and how an exchange is recorded.

use std::rc::Rc;

use super::capture::Capture;
use super::gateway::SetTracking;
use super::headers::Headers;
pub use super::matcher::Policy;
pub(super) use super::matcher::Readings;
use super::path;
pub use super::patterns::{HeaderCondition, HostPattern, PathPattern, ValuePattern};
use super::session::SessionEvent;
use super::{authority, identity, outcome};
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
    /// Whether this rule keeps requests out of the records.
    ///
    /// A rule of the gateway role does not, though its level is none by default: it makes the next hop record.
    #[must_use]
    pub fn excludes(&self) -> bool {
        !self.recorded && self.set_tracking.is_none()
    }

    /// Whether this rule decides about a request, if no earlier one does.
    ///
    /// A rule that excludes leaves what is ambiguous to later rules, or a client could hide behind it what the upstream
    /// takes for something else. For all other rules to match is the careful side.
    pub(super) fn matches(&self, request: &RequestHead<'_>) -> bool {
        self.conditions.hold(request)
            && !(self.excludes() && self.conditions.are_ambiguous_for(request))
    }

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
        let fits = |status: u16| {
            self.http_statuses
                .iter()
                .any(|range| range.contains(status))
        };
        self.http_statuses.is_empty() || end.http_status.map_or(end.may_be_success, fits)
    }

    /// Whether an answer with this HTTP status can still become a record.
    #[must_use]
    pub fn may_want(&self, http_status: Option<u16>) -> bool {
        let outcome = http_status.map_or(Outcome::Aborted, outcome::of_status);
        let ends = [outcome, Outcome::Aborted].map(|outcome| End {
            outcome,
            http_status,
            may_be_success: false,
        });
        ends.iter().any(|end| self.wants(Protocol::Http, end))
    }

    /// Whether some end of an exchange is not recorded.
    #[must_use]
    pub fn may_not_want(&self) -> bool {
        /// All of [`Outcome`].
        const OUTCOMES: usize = 4;
        self.record_on.len() < OUTCOMES || !self.http_statuses.is_empty()
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
        self.tracked
            .is_none_or(|tracked| tracked == request.tracked)
            && (self.methods.is_empty()
                || self
                    .methods
                    .iter()
                    .any(|method| method.as_bytes() == request.method))
            && self
                .path
                .as_ref()
                .is_none_or(|pattern| pattern.matches(request.path))
            && (self.hosts.is_empty() || self.hold_for_host(request.authority))
            && self
                .headers
                .iter()
                .all(|condition| condition.holds(request.headers))
    }

    #[inline(never)]
    fn hold_for_host(&self, authority: &[u8]) -> bool {
        let host = authority::host_name(authority);
        self.hosts.iter().any(|pattern| pattern.matches(&host))
    }

    /// Whether a path or host that these conditions look at has a second reading, in which they may not hold.
    #[cold]
    #[inline(never)]
    fn are_ambiguous_for(&self, request: &RequestHead<'_>) -> bool {
        let target = || request.headers.first(":path").unwrap_or(request.path);

        self.path.is_some() && path::is_ambiguous(target())
            || !self.hosts.is_empty() && authority::is_ambiguous(request.authority)
    }
}
