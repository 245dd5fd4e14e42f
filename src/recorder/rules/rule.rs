//! Ordered rules. The first rule with all conditions true decides whether and how an exchange is
//! recorded.

use std::rc::Rc;

use super::{HeaderCondition, HostPattern, PathPattern};
use crate::record::{Outcome, Protocol, RequireAudit};
use crate::recorder::capture::Capture;
use crate::recorder::headers::Headers;
use crate::recorder::identity::IdentitySettings;
use crate::recorder::outcome;
use crate::recorder::session::SessionEvent;
use crate::recorder::tracking::set_tracking::SetTracking;
use crate::recorder::uri::{authority, path};

/// One rule of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Unique name; recorded as `audit.rule`.
    pub name: Rc<str>,
    /// Conditions on the request.
    pub conditions: Conditions,
    /// False for `level: none`: the request matches, but is not recorded.
    pub recorded: bool,
    /// Fixed action; otherwise derived from the request.
    pub action: Option<String>,
    /// Outcomes that are recorded.
    pub record_on: Vec<Outcome>,
    /// HTTP statuses that are recorded; empty: any. Ignored for gRPC.
    pub http_statuses: Vec<StatusRange>,
    /// Outcomes that are sent without waiting for a batch timer.
    pub immediate_on: Vec<Outcome>,
    /// Requirement before a request may go upstream.
    pub require_audit: RequireAudit,
    /// Sources of the user's identity.
    pub identity: Rc<IdentitySettings>,
    /// Effect of a successful request on its session.
    pub session: Option<SessionEvent>,
    /// Whether the correlation headers are set.
    pub correlate: bool,
    /// Values captured by name.
    pub capture: Capture,
    /// Control headers for the next hop; `None` except in the gateway role.
    pub set_tracking: Option<SetTracking>,
    /// Static attributes, `audit.tag.<name>`.
    pub tags: Rc<[(String, String)]>,
    /// Optional attributes that cost a host call each.
    pub extra_fields: ExtraFields,
}

/// End of an exchange, as far as rules depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The server's result.
    pub outcome: Outcome,
    /// Its HTTP status, if it responded.
    pub http_status: Option<u16>,
    /// The server may have succeeded although the outcome does not show it: the client disconnected
    /// before a status, or the status is unreadable.
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

/// Attributes that are recorded only if configured.
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

/// All conditions must hold; an absent one always does.
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

/// The parts of a request that conditions read.
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
    /// Set by the control headers of a trusted peer.
    pub tracked: bool,
}

impl Rule {
    /// Whether this rule excludes requests from recording.
    ///
    /// A rule of the gateway role does not, although its default level is none: it makes the next
    /// hop record.
    #[must_use]
    pub fn excludes(&self) -> bool {
        !self.recorded && self.set_tracking.is_none()
    }

    /// Whether this rule matches a request, earlier rules aside.
    ///
    /// An excluding rule does not match ambiguous requests. Otherwise a client could use it to hide
    /// a request that the upstream reads differently. For all other rules, matching is the safe
    /// side.
    pub(in crate::recorder) fn matches(&self, request: &RequestHead<'_>) -> bool {
        self.conditions.hold(request)
            && !(self.excludes() && self.conditions.are_ambiguous_for(request))
    }

    /// Whether an exchange with this end is recorded.
    ///
    /// With `may_be_success` the server's result is unknown and may be a success. A rule that
    /// records successes then records it too. Otherwise a client could avoid a record by
    /// disconnecting early.
    #[must_use]
    pub fn wants(&self, protocol: Protocol, end: &End) -> bool {
        let fits = self.record_on.contains(&end.outcome);
        let may_fit = end.may_be_success && self.record_on.contains(&Outcome::Success);
        (fits || may_fit) && (protocol == Protocol::Grpc || self.wants_status(end))
    }

    fn wants_status(&self, end: &End) -> bool {
        if self.http_statuses.is_empty() {
            return true;
        }
        let Some(status) = end.http_status else {
            return end.may_be_success;
        };
        self.http_statuses
            .iter()
            .any(|range| range.contains(status))
    }

    /// Whether a response with this HTTP status can still lead to a record.
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

    /// Whether some ends of an exchange are left to later rules. A rule that excludes leaves none.
    #[must_use]
    pub fn may_not_want(&self) -> bool {
        /// Number of variants of [`Outcome`].
        const OUTCOMES: usize = 4;
        let is_restricted = self.record_on.len() < OUTCOMES || !self.http_statuses.is_empty();
        is_restricted && !self.excludes()
    }

    /// Whether this rule requires the track header.
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
    /// Whether all conditions hold except the protocol, which is known only at the end.
    pub(in crate::recorder) fn hold(&self, request: &RequestHead<'_>) -> bool {
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

    /// Whether a path or host used by these conditions is ambiguous, so that they may not hold for
    /// another reading.
    #[cold]
    #[inline(never)]
    fn are_ambiguous_for(&self, request: &RequestHead<'_>) -> bool {
        if self.path.is_some() {
            let target = request.headers.first(":path").unwrap_or(request.path);
            if path::is_ambiguous(target) {
                return true;
            }
        }

        !self.hosts.is_empty() && authority::is_ambiguous(request.authority)
    }
}
