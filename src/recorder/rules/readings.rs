//! The protocols as which an exchange may be read.

use crate::record::Protocol;

/// The protocols as which an exchange may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::recorder) struct Readings {
    http: bool,
    grpc: bool,
}

impl Readings {
    pub(super) const ALL: Self = Self {
        http: true,
        grpc: true,
    };

    pub(super) fn of(protocol: Option<Protocol>) -> Self {
        Self {
            http: protocol != Some(Protocol::Grpc),
            grpc: protocol != Some(Protocol::Http),
        }
    }

    /// Whether this protocol is included.
    pub(in crate::recorder) fn has(self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Http => self.http,
            Protocol::Grpc => self.grpc,
        }
    }

    pub(super) fn both(self, other: Self) -> Self {
        Self {
            http: self.http && other.http,
            grpc: self.grpc && other.grpc,
        }
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self {
            http: self.http && !other.http,
            grpc: self.grpc && !other.grpc,
        }
    }

    pub(super) fn is_empty(self) -> bool {
        !self.http && !self.grpc
    }
}
