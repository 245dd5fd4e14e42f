//! Who may speak through control headers: decided by the direct peer's address or its certificate.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::host::{Property, Stream};

/// Whom to believe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Networks of the direct peer.
    pub cidrs: Vec<IpNet>,
    /// Prefixes of the URI SAN of the peer's certificate; a prefix ends at a `/` of the SAN.
    pub uri_sans: Vec<String>,
}

/// What is known about the direct peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its control headers count.
    Trusted,
    /// Its control headers count as absent.
    Untrusted,
    /// Envoy took the address from `x-forwarded-for`, which a client can write; treated as untrusted.
    Unknown,
}

impl Trust {
    /// Judges the direct peer of a stream: one or two host calls, plus one when URI SANs are configured.
    pub fn judge(&self, stream: &dyn Stream) -> Verdict {
        if !self.uri_sans.is_empty() && self.trusts_certificate(stream) {
            return Verdict::Trusted;
        }
        match direct_peer(stream) {
            None => Verdict::Unknown,
            Some(address) if self.cidrs.iter().any(|cidr| cidr.contains(&address)) => Verdict::Trusted,
            Some(_) => Verdict::Untrusted,
        }
    }

    fn trusts_certificate(&self, stream: &dyn Stream) -> bool {
        let san = stream.property(Property::PeerUriSan).unwrap_or_default();
        self.uri_sans.iter().any(|prefix| has_prefix(&san, prefix.as_bytes()))
    }
}

/// `spiffe://mesh` must not match `spiffe://mesh.evil/x`: the rest starts at a path boundary.
fn has_prefix(san: &[u8], prefix: &[u8]) -> bool {
    san.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || prefix.ends_with(b"/") || rest.starts_with(b"/"))
}

fn direct_peer(stream: &dyn Stream) -> Option<IpAddr> {
    if let Some(provided) = stream.property(Property::DirectPeer).filter(|value| !value.is_empty()) {
        return parse_ip(&provided);
    }
    let source = stream.property(Property::SourceAddress)?;
    let (address, port) = split_port(&source)?;
    (port != b"0").then_some(address).and_then(parse_ip)
}

/// The IP address in `ip:port` or `[ip]:port` text, without its port.
#[must_use]
pub fn address_without_port(source: &[u8]) -> &[u8] {
    split_port(source).map_or(source, |(address, _)| unbracketed(address))
}

fn split_port(source: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = source.iter().rposition(|byte| *byte == b':')?;
    Some((source.get(..colon)?, source.get(colon + 1..)?))
}

fn unbracketed(address: &[u8]) -> &[u8] {
    address.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(address)
}

/// IPv4-mapped IPv6 addresses count as the IPv4 address that they carry.
fn parse_ip(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(unbracketed(text)).ok()?;
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::fake::FakeStream;

    fn trust() -> Trust {
        Trust {
            cidrs: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
            uri_sans: vec!["spiffe://mesh.internal".to_owned()],
        }
    }

    #[track_caller]
    fn check(properties: &[(Property, &str)], expected: Verdict) {
        let stream = FakeStream::default().with_properties(properties);
        assert_eq!(trust().judge(&stream), expected, "{properties:?}");
    }

    #[test]
    fn direct_peer_decides() {
        use Property::{DirectPeer, SourceAddress};
        check(&[(SourceAddress, "10.1.2.3:4567")], Verdict::Trusted);
        check(&[(SourceAddress, "192.168.1.1:4567")], Verdict::Untrusted);
        check(&[(SourceAddress, "10.1.2.3:0")], Verdict::Unknown);
        check(&[(SourceAddress, "[::1]:4567")], Verdict::Trusted);
        check(&[(SourceAddress, "[::ffff:10.1.2.3]:4567")], Verdict::Trusted);
        check(&[(DirectPeer, "10.1.2.3"), (SourceAddress, "8.8.8.8:0")], Verdict::Trusted);
        check(&[(DirectPeer, "8.8.8.8"), (SourceAddress, "10.1.2.3:4567")], Verdict::Untrusted);
        check(&[(DirectPeer, "::1")], Verdict::Trusted);
        check(&[(DirectPeer, "/run/peer.sock")], Verdict::Unknown);
        check(&[], Verdict::Unknown);
    }

    #[test]
    fn certificate_decides_in_any_case() {
        use Property::{PeerUriSan, SourceAddress};
        check(&[(SourceAddress, "8.8.8.8:0"), (PeerUriSan, "spiffe://mesh.internal/ns/a")], Verdict::Trusted);
        check(&[(PeerUriSan, "spiffe://mesh.internal")], Verdict::Trusted);
        check(&[(SourceAddress, "8.8.8.8:1"), (PeerUriSan, "spiffe://mesh.internal.evil/")], Verdict::Untrusted);
    }

    #[test]
    fn ports_are_cut() {
        assert_eq!(address_without_port(b"127.0.0.1:80"), b"127.0.0.1");
        assert_eq!(address_without_port(b"[::1]:80"), b"::1");
        assert_eq!(address_without_port(b"pipe"), b"pipe");
    }
}
