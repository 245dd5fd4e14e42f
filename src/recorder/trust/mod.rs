//! Which peers are trusted, so that their control and identity headers count. The direct peer's
//! address decides, or its certificate, or a principal verified by an earlier filter.

mod address;
pub(super) mod connections;
pub(super) mod distrust;
mod evaluation;

pub use address::{address_without_port, is_of_header};

use std::net::IpAddr;

use address::{parse_ip, split_port};
use ipnet::IpNet;

use super::identity::filter_state::FilterState;
use crate::host::{Property, Stream};

/// The trusted peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Networks of the direct peer. An IPv4-mapped peer (`::ffff:10.1.2.3`) is in IPv4 networks
    /// only.
    pub cidrs: Vec<IpNet>,
    /// Prefixes of the URI SAN of the peer's certificate, compared byte by byte: case,
    /// percent-encoding and dot segments are taken as they are. A prefix ends at a path boundary:
    /// `spiffe://mesh` and `spiffe://mesh/` match `spiffe://mesh/x`. Neither matches
    /// `spiffe://mesh.evil/x` or `spiffe://mesh:1/x`.
    ///
    /// The listener must verify the certificate: with a `trusted_ca`, and without
    /// `trust_chain_verification: ACCEPT_UNTRUSTED`. With the latter Envoy returns the SAN of any
    /// self-made certificate. Envoy 1.40 has `connection.peer_certificate_valid` for this, but it
    /// is false for every resumed session, so it is not used. Without a `trusted_ca` Envoy requests
    /// no certificate, and no peer matches.
    ///
    /// Of several URI SANs Envoy returns the first in the certificate, and that one decides. SPIFFE
    /// (X.509-SVID, section 2) requires exactly one; its authorities sign no other certificate.
    pub uri_sans: Vec<String>,
    /// Principals in the filter state, for TLS that ends before this connection (a waypoint).
    pub principals: Vec<Principal>,
}

/// A filter state object with the peer's principal, verified by an earlier filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The object.
    pub object: FilterState,
    /// Trusted principals: compared like [`Trust::uri_sans`].
    pub prefixes: Vec<String>,
}

/// Kind of address of the direct peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// This address. Its certificate or principal can make it trusted all the same.
    Address(IpAddr),
    /// Envoy took the address from a header, which a client can set.
    OfHeader,
    /// It has no IP address: an internal listener of Envoy, or a Unix socket.
    NoAddress,
}

/// Result of the trust check of the direct peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustEvaluation {
    /// Whether its headers count.
    pub level: TrustLevel,
    /// Whether the result is the same for every request of the connection.
    pub lasts: bool,
    /// Address of the peer; `None` if it was not needed.
    pub peer: Option<Peer>,
}

/// Trust in the direct peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustLevel {
    /// Its control and identity headers count.
    Trusted,
    /// They count as absent.
    Untrusted,
    /// It has no comparable address; treated as untrusted.
    Unknown,
}

impl Trust {
    /// Whether any peer may be trusted.
    #[must_use]
    pub fn names_any(&self) -> bool {
        !self.cidrs.is_empty() || self.names_others()
    }

    /// Whether peers other than those of the same machine may be trusted.
    #[must_use]
    pub fn names_others(&self) -> bool {
        let is_remote = |cidr: &IpNet| !cidr.addr().is_loopback();
        !self.uri_sans.is_empty() || !self.principals.is_empty() || self.cidrs.iter().any(is_remote)
    }

    /// Checks the direct peer of a stream: one or two host calls, plus one if URI SANs are
    /// configured, plus one per principal. If a SAN or principal decides, the others are not made.
    ///
    /// A certificate and `audit.direct_peer` are the same for every request of a connection.
    /// Another address may be known for one request and not for the next. A filter may set a
    /// principal per request.
    pub fn evaluate(&self, stream: &dyn Stream) -> TrustEvaluation {
        if !self.uri_sans.is_empty() && self.trusts_certificate(stream) {
            return TrustEvaluation {
                level: TrustLevel::Trusted,
                lasts: true,
                peer: None,
            };
        }

        if self
            .principals
            .iter()
            .any(|principal| principal.is_in(stream))
        {
            return TrustEvaluation {
                level: TrustLevel::Trusted,
                lasts: false,
                peer: None,
            };
        }

        let provided = stream
            .property(Property::DirectPeer)
            .filter(|value| !value.is_empty());
        let lasts = provided.is_some() && self.principals.is_empty();
        let peer = provided.map_or_else(
            || of_source(stream),
            |text| parse_ip(&text).map_or(Peer::NoAddress, Peer::Address),
        );

        TrustEvaluation {
            level: self.level_of(peer),
            lasts,
            peer: Some(peer),
        }
    }

    fn level_of(&self, peer: Peer) -> TrustLevel {
        match peer {
            Peer::Address(address) if self.cidrs.iter().any(|cidr| cidr.contains(&address)) => {
                TrustLevel::Trusted
            }
            Peer::Address(_) => TrustLevel::Untrusted,
            Peer::OfHeader | Peer::NoAddress => TrustLevel::Unknown,
        }
    }

    fn trusts_certificate(&self, stream: &dyn Stream) -> bool {
        let san = stream.property(Property::PeerUriSan).unwrap_or_default();
        self.uri_sans
            .iter()
            .any(|prefix| has_prefix(&san, prefix.as_bytes()))
    }
}

impl Principal {
    fn is_in(&self, stream: &dyn Stream) -> bool {
        let value = self.object.read(stream).unwrap_or_default();
        self.prefixes
            .iter()
            .any(|prefix| has_prefix(&value, prefix.as_bytes()))
    }
}

/// `spiffe://mesh` must not match `spiffe://mesh.evil/x`: the rest starts at a path boundary.
fn has_prefix(san: &[u8], prefix: &[u8]) -> bool {
    san.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || prefix.ends_with(b"/") || rest.starts_with(b"/"))
}

/// The source address, if it is that of a connection. An address from a PROXY protocol header has a
/// port too; only `audit.direct_peer` has the real one.
fn of_source(stream: &dyn Stream) -> Peer {
    let source = stream.property(Property::SourceAddress).unwrap_or_default();
    match split_port(&source).and_then(|(address, _)| parse_ip(address)) {
        None => Peer::NoAddress,
        Some(_) if is_of_header(&source) => Peer::OfHeader,
        Some(address) => Peer::Address(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::fake::FakeStream;

    fn trust() -> Trust {
        Trust {
            cidrs: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
            uri_sans: vec!["spiffe://mesh.internal".to_owned()],
            principals: Vec::new(),
        }
    }

    #[track_caller]
    fn check(properties: &[(Property, &str)], expected: TrustLevel) {
        let stream = FakeStream::default().with_properties(properties);
        assert_eq!(trust().evaluate(&stream).level, expected, "{properties:?}");
    }

    #[test]
    fn direct_peer_decides() {
        use Property::{DirectPeer, SourceAddress};

        check(&[(SourceAddress, "10.1.2.3:4567")], TrustLevel::Trusted);
        check(
            &[(SourceAddress, "192.168.1.1:4567")],
            TrustLevel::Untrusted,
        );
        check(&[(SourceAddress, "10.1.2.3:0")], TrustLevel::Unknown);
        check(&[(SourceAddress, "[::1]:4567")], TrustLevel::Trusted);
        check(&[(SourceAddress, "[::1]:0")], TrustLevel::Unknown);
        check(&[(SourceAddress, "[::2]:4567")], TrustLevel::Untrusted);
        check(
            &[(SourceAddress, "[::ffff:10.1.2.3]:4567")],
            TrustLevel::Trusted,
        );
        check(
            &[(SourceAddress, "[::ffff:192.168.1.1]:4567")],
            TrustLevel::Untrusted,
        );
        check(
            &[(DirectPeer, "10.1.2.3"), (SourceAddress, "8.8.8.8:0")],
            TrustLevel::Trusted,
        );
        check(
            &[(DirectPeer, "8.8.8.8"), (SourceAddress, "10.1.2.3:4567")],
            TrustLevel::Untrusted,
        );
        check(&[(DirectPeer, "::1")], TrustLevel::Trusted);
        check(&[(DirectPeer, "::ffff:10.1.2.3")], TrustLevel::Trusted);
        check(
            &[
                (DirectPeer, "/run/peer.sock"),
                (SourceAddress, "10.1.2.3:4567"),
            ],
            TrustLevel::Unknown,
        );
        check(&[], TrustLevel::Unknown);
    }

    #[test]
    fn certificate_decides_in_any_case() {
        use Property::{PeerUriSan, SourceAddress};

        check(
            &[
                (SourceAddress, "8.8.8.8:0"),
                (PeerUriSan, "spiffe://mesh.internal/ns/a"),
            ],
            TrustLevel::Trusted,
        );
        check(
            &[
                (SourceAddress, "8.8.8.8:1"),
                (PeerUriSan, "spiffe://mesh.internal/ns/a"),
            ],
            TrustLevel::Trusted,
        );
        check(
            &[
                (SourceAddress, "10.1.2.3:1"),
                (PeerUriSan, "spiffe://evil/"),
            ],
            TrustLevel::Trusted,
        );
        check(
            &[
                (SourceAddress, "8.8.8.8:1"),
                (PeerUriSan, "spiffe://mesh.internal.evil/"),
            ],
            TrustLevel::Untrusted,
        );
        check(
            &[(PeerUriSan, "spiffe://mesh.internal.evil/")],
            TrustLevel::Unknown,
        );
    }

    #[test]
    fn a_prefix_ends_at_a_part_of_the_name() {
        for (prefix, san, expected) in [
            ("spiffe://mesh", "spiffe://mesh", true),
            ("spiffe://mesh", "spiffe://mesh/", true),
            ("spiffe://mesh", "spiffe://mesh/x", true),
            ("spiffe://mesh/", "spiffe://mesh/x", true),
            ("spiffe://mesh/", "spiffe://mesh/", true),
            ("spiffe://mesh/a", "spiffe://mesh/a/b", true),
            ("spiffe://mesh", "spiffe://mesh.evil/", false),
            ("spiffe://mesh", "spiffe://mesh@evil/", false),
            ("spiffe://mesh", "spiffe://mesh:1/", false),
            ("spiffe://mesh", "spiffe://mesh\0/", false),
            ("spiffe://mesh/", "spiffe://mesh", false),
            ("spiffe://mesh/a", "spiffe://mesh/ab", false),
            ("spiffe://mesh", "spiffe://mes", false),
            ("spiffe://mesh", "spiffe://evil/spiffe://mesh/", false),
            ("spiffe://mesh", "SPIFFE://mesh/", false),
            ("spiffe://mesh", "spiffe://MESH/", false),
            ("spiffe://mesh", "", false),
        ] {
            assert_eq!(
                has_prefix(san.as_bytes(), prefix.as_bytes()),
                expected,
                "{prefix} {san}"
            );
        }
    }

    #[test]
    fn it_asks_for_nothing_that_does_not_matter() {
        use Property::{DirectPeer, PeerUriSan, SourceAddress};

        let asked = |trust: &Trust, properties: &[(Property, &str)]| {
            let stream = FakeStream::default().with_properties(properties);
            trust.evaluate(&stream);
            stream.asked.into_inner()
        };

        let by_address = Trust {
            uri_sans: Vec::new(),
            ..trust()
        };

        assert_eq!(asked(&by_address, &[(DirectPeer, "8.8.8.8")]), [DirectPeer]);
        assert_eq!(
            asked(&by_address, &[(SourceAddress, "8.8.8.8:1")]),
            [DirectPeer, SourceAddress]
        );
        assert_eq!(
            asked(&trust(), &[(PeerUriSan, "spiffe://mesh.internal/x")]),
            [PeerUriSan]
        );
        assert_eq!(
            asked(&trust(), &[(DirectPeer, "10.1.2.3")]),
            [PeerUriSan, DirectPeer]
        );
    }
}
