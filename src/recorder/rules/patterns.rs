//! How a host, path or header value is compared with the configured pattern.

use std::net::Ipv6Addr;

use crate::recorder::headers::{Headers, is_same};
use crate::recorder::uri::authority;
use crate::recorder::uri::template::Template;

/// A host, compared with the form of [`authority::host_name`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// This host.
    Exact(String),
    /// This IPv6 literal, in any spelling.
    Literal(Ipv6Addr),
    /// Hosts with this suffix; `*.internal` becomes `.internal`.
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

/// A condition on one header; with several values, one match is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderCondition {
    /// Lower-case name.
    pub name: String,
    /// Pattern of its value.
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

impl HostPattern {
    /// Whether a host matches; it must be in the form of [`authority::host_name`].
    pub(in crate::recorder) fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(name) => is_same(host, name.as_bytes()),
            Self::Literal(address) => authority::literal(host) == Some(*address),
            Self::Suffix(end) => host.len() > end.len() && host.ends_with(end.as_bytes()),
        }
    }
}

impl PathPattern {
    /// The pattern as configured.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) | Self::Suffix(text) => text,
            Self::Template(template) => template.text(),
        }
    }

    pub(in crate::recorder) fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(text) => is_same(path, text.as_bytes()),
            Self::Prefix(text) => path
                .get(..text.len())
                .is_some_and(|start| is_same(start, text.as_bytes())),
            Self::Suffix(text) => {
                let start = path.len().checked_sub(text.len());
                start
                    .and_then(|start| path.get(start..))
                    .is_some_and(|end| is_same(end, text.as_bytes()))
            }
            Self::Template(template) => template.matches(path),
        }
    }
}

impl HeaderCondition {
    pub(in crate::recorder) fn holds(&self, headers: &Headers<'_>) -> bool {
        match &self.value {
            ValuePattern::Present(present) => headers.has(&self.name) == *present,
            pattern => headers.all(&self.name).any(|value| pattern.matches(value)),
        }
    }
}

impl ValuePattern {
    pub(in crate::recorder) fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => value == text.as_bytes(),
            Self::Prefix(text) => value.starts_with(text.as_bytes()),
            Self::Suffix(text) => value.ends_with(text.as_bytes()),
            Self::Contains(text) => {
                text.is_empty()
                    || value
                        .windows(text.len())
                        .any(|part| part == text.as_bytes())
            }
            Self::Present(present) => *present,
        }
    }
}
