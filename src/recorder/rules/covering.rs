//! Finds unreachable rules: an earlier rule decides about everything that they match.

use super::{
    Conditions, HeaderCondition, HostPattern, PathPattern, Policy, RequestHead, Rule, ValuePattern,
};
use crate::recorder::headers::Headers;

/// A rule covered by an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// Index of the rule.
    pub place: usize,
    /// Index of the earlier rule.
    pub by: usize,
    /// Requests that still reach the rule.
    pub rest: Rest,
}

/// Requests that the earlier rule does not decide about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// None.
    Nothing,
    /// Tracked requests, if the earlier rule does not record every end.
    Tracked,
    /// Requests with an ambiguous path or host, if the earlier rule excludes.
    Ambiguous,
}

impl Policy {
    /// The covered rules. Each has the first rule that covers it fully, else the first that covers
    /// all but a [`Rest`]. A rule covered only by several rules together is not found.
    ///
    /// An earlier rule is compared only if it matches an example request generated for the rule.
    #[must_use]
    pub fn covered(&self) -> Vec<Covered> {
        self.iter()
            .enumerate()
            .filter_map(|(place, rule)| self.covered_at(place, &rule.conditions))
            .collect()
    }

    fn covered_at(&self, place: usize, conditions: &Conditions) -> Option<Covered> {
        let example = Example::of(conditions);
        let headers = example.headers();
        let head = example.head(&headers);
        let (mut start, mut partly) = (0, None);
        while let Some((by, earlier)) = self.next_match(start, &head).filter(|(by, _)| *by < place)
        {
            match earlier.leaves(conditions) {
                Some(Rest::Nothing) => {
                    return Some(Covered {
                        place,
                        by,
                        rest: Rest::Nothing,
                    });
                }
                Some(rest) => partly = partly.or(Some(Covered { place, by, rest })),
                None => {}
            }

            start = by + 1;
        }

        partly
    }
}

impl Rule {
    /// The rest that this rule leaves to a later rule with these conditions; `None` if no [`Rest`]
    /// describes it.
    fn leaves(&self, conditions: &Conditions) -> Option<Rest> {
        if !self.conditions.cover(conditions) {
            return None;
        }

        let leaves_tracked = self.may_not_want() && conditions.tracked != Some(false);
        let leaves_ambiguous = self.excludes()
            && (self.conditions.path.is_some() || !self.conditions.hosts.is_empty());

        match (leaves_tracked, leaves_ambiguous) {
            // The later rule is for tracked requests only: all of them are left to it, not a
            // remainder.
            (true, _) if conditions.tracked == Some(true) => None,
            (true, _) => Some(Rest::Tracked),
            (false, true) => Some(Rest::Ambiguous),
            (false, false) => Some(Rest::Nothing),
        }
    }
}

/// An example request for which the conditions hold.
struct Example {
    method: String,
    path: String,
    authority: String,
    headers: Vec<(String, String)>,
    tracked: bool,
}

impl Example {
    fn of(conditions: &Conditions) -> Self {
        let path = match &conditions.path {
            None => "/".to_owned(),
            Some(PathPattern::Exact(text) | PathPattern::Prefix(text)) => text.clone(),
            Some(PathPattern::Suffix(text)) if text.starts_with('/') => text.clone(),
            Some(PathPattern::Suffix(text)) => ["/", text].concat(),
            Some(PathPattern::Template(template)) => template.example(),
        };

        let authority = match conditions.hosts.first() {
            None => String::new(),
            Some(HostPattern::Exact(name)) => name.clone(),
            Some(HostPattern::Literal(address)) => format!("[{address}]"),
            Some(HostPattern::Suffix(end)) => ["x", end].concat(),
        };

        let headers = conditions.headers.iter().filter_map(|condition| {
            let value = match &condition.value {
                ValuePattern::Exact(text)
                | ValuePattern::Prefix(text)
                | ValuePattern::Suffix(text)
                | ValuePattern::Contains(text) => text.clone(),
                ValuePattern::Present(true) => String::new(),
                ValuePattern::Present(false) => return None,
            };

            Some((condition.name.clone(), value))
        });

        Self {
            method: conditions.methods.first().cloned().unwrap_or_default(),
            path,
            authority,
            headers: headers.collect(),
            tracked: conditions.tracked.unwrap_or_default(),
        }
    }

    fn headers(&self) -> Headers<'_> {
        self.headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect()
    }

    fn head<'e>(&'e self, headers: &'e Headers<'e>) -> RequestHead<'e> {
        RequestHead {
            headers,
            method: self.method.as_bytes(),
            path: self.path.as_bytes(),
            authority: self.authority.as_bytes(),
            tracked: self.tracked,
        }
    }
}

impl Conditions {
    /// Whether these conditions hold for every request for which `other` holds.
    fn cover(&self, other: &Self) -> bool {
        is_within(self.protocol, other.protocol)
            && is_within(self.tracked, other.tracked)
            && all_within(&self.methods, &other.methods, |own, method| own == method)
            && all_within(&self.hosts, &other.hosts, HostPattern::covers)
            && self
                .path
                .as_ref()
                .is_none_or(|own| other.path.as_ref().is_some_and(|path| own.covers(path)))
            && self
                .headers
                .iter()
                .all(|own| other.headers.iter().any(|condition| own.covers(condition)))
    }
}

/// An absent condition always holds.
fn is_within<T: PartialEq>(own: Option<T>, other: Option<T>) -> bool {
    own.is_none() || own == other
}

/// Like [`is_within`] for a list of alternatives.
fn all_within<T>(own: &[T], other: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    own.is_empty()
        || !other.is_empty()
            && other
                .iter()
                .all(|entry| own.iter().any(|pattern| covers(pattern, entry)))
}

impl HostPattern {
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Suffix(_), Self::Exact(name)) => self.matches(name.as_bytes()),
            (Self::Suffix(own), Self::Suffix(end)) => end.ends_with(own.as_str()),
            _ => self == other,
        }
    }
}

impl PathPattern {
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(path)) => self.matches(path.as_bytes()),
            (Self::Prefix(own), Self::Prefix(start)) => start.starts_with(own.as_str()),
            (Self::Suffix(own), Self::Suffix(end)) => end.ends_with(own.as_str()),
            (Self::Prefix(own), Self::Template(template)) => {
                template.ends().0.starts_with(own.as_str())
            }
            (Self::Suffix(own), Self::Template(template)) => {
                template.ends().1.ends_with(own.as_str())
            }
            (Self::Template(own), Self::Template(template)) => own.covers(template),
            _ => self == other,
        }
    }
}

impl HeaderCondition {
    fn covers(&self, other: &Self) -> bool {
        let holds = match (&self.value, &other.value) {
            (own, value) if own == value => true,
            (ValuePattern::Present(true), value) => *value != ValuePattern::Present(false),
            (own, ValuePattern::Exact(text)) => own.matches(text.as_bytes()),
            (ValuePattern::Prefix(own), ValuePattern::Prefix(start)) => {
                start.starts_with(own.as_str())
            }
            (ValuePattern::Suffix(own), ValuePattern::Suffix(end)) => end.ends_with(own.as_str()),
            (
                own @ ValuePattern::Contains(_),
                ValuePattern::Prefix(text)
                | ValuePattern::Suffix(text)
                | ValuePattern::Contains(text),
            ) => own.matches(text.as_bytes()),
            _ => false,
        };

        self.name == other.name && holds
    }
}
