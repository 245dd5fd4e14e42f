//! Cache of values that are constant for a connection, to save host calls. These are the trust
//! decision, the HTTP version, and the client's address if no header determines it.

use std::borrow::Cow;
use std::cell::RefCell;

use super::{TrustLevel, address_without_port, is_of_header};
use crate::recorder::headers::is_same;

/// Connections cached per worker. An evicted one costs the host calls again.
const CACHE_SLOTS: usize = 1024;

/// Cached values of some connections.
#[derive(Debug, Default)]
pub(in crate::recorder) struct Connections(RefCell<Vec<CachedPeer>>);

/// Cached values of one connection; `None`: not yet known, or not constant.
#[derive(Clone, Debug, Default)]
struct CachedPeer {
    id: u64,
    level: Option<TrustLevel>,
    version: Option<&'static str>,
    /// The connection's remote address, without port.
    address: Option<Box<[u8]>>,
}

impl Connections {
    /// Whether the peer is trusted. `evaluate` returns the level, and whether it holds for the whole
    /// connection.
    ///
    /// Cached only for protocols over TCP, since their connection numbers are never reused. The
    /// number of a QUIC connection derives from an id that a client influences.
    pub(in crate::recorder) fn trust_level(
        &self,
        id: Option<u64>,
        evaluate: impl FnOnce() -> (TrustLevel, bool),
        protocol: impl FnOnce() -> Option<Vec<u8>>,
    ) -> TrustLevel {
        self.known(id, |known| {
            if let Some(level) = known.level {
                return level;
            }
            let (level, lasts) = evaluate();
            if lasts && id.is_some() {
                known.version = known.version.or_else(|| lasting_version(&protocol()?));
                known.level = known.version.map(|_| level);
            }

            level
        })
    }

    /// `network.protocol.version` of a request, from Envoy's protocol name: `HTTP/1.1` is `1.1`.
    ///
    /// A connection that switches from HTTP/1.1 to HTTP/1.0 keeps the first version here. Envoy
    /// accepts that only with `accept_http_10`.
    pub(in crate::recorder) fn version(
        &self,
        id: Option<u64>,
        protocol: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<Cow<'static, [u8]>> {
        self.known(id, |known| {
            if known.version.is_none() {
                let protocol = protocol()?;
                known.version = lasting_version(&protocol);
                if known.version.is_none() {
                    return Some(Cow::Owned(
                        protocol
                            .strip_prefix(b"HTTP/")
                            .unwrap_or(&protocol)
                            .to_vec(),
                    ));
                }
            }
            known
                .version
                .map(|version| Cow::Borrowed(version.as_bytes()))
        })
    }

    /// The client's address without port. `source` is Envoy's source address of this request.
    ///
    /// Envoy may take it from a header, anew for every request. With `use_remote_address` it
    /// appends the connection's own address to `x-forwarded-for`. The cached value is used only if
    /// the header consists of that address alone.
    pub(in crate::recorder) fn address(
        &self,
        id: Option<u64>,
        forwarded_for: Option<&[u8]>,
        source: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        self.known(id, |known| {
            if let (Some(own), Some(forwarded_for)) = (&known.address, forwarded_for)
                && is_same(own, forwarded_for)
            {
                return Some(own.to_vec());
            }

            let source = source()?;
            let address = address_without_port(&source);
            if !is_of_header(&source) && forwarded_for == Some(address) {
                known.address = Some(address.into());
            }

            Some(address.to_vec())
        })
    }

    /// Without an id nothing is cached.
    fn known<T>(&self, id: Option<u64>, work: impl FnOnce(&mut CachedPeer) -> T) -> T {
        let Some(id) = id else {
            return work(&mut CachedPeer::default());
        };
        let mut slots = self.0.borrow_mut();
        if slots.is_empty() {
            slots.resize(CACHE_SLOTS, CachedPeer::default());
        }

        let slot = usize::try_from(id % CACHE_SLOTS as u64).unwrap_or_default();
        let Some(known) = slots.get_mut(slot) else {
            return work(&mut CachedPeer::default());
        };
        if known.id != id {
            *known = CachedPeer {
                id,
                ..CachedPeer::default()
            };
        }

        work(known)
    }
}

/// The version, if the protocol runs over TCP and later requests cannot change it.
fn lasting_version(protocol: &[u8]) -> Option<&'static str> {
    match protocol {
        b"HTTP/1.1" => Some("1.1"),
        b"HTTP/2" => Some("2"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &[u8] = b"10.0.0.1";

    fn http2() -> Option<Vec<u8>> {
        Some(b"HTTP/2".to_vec())
    }

    fn not_asked<T>() -> T {
        panic!("asked again")
    }

    fn address(
        connections: &Connections,
        id: Option<u64>,
        forwarded_for: &str,
        source: &str,
    ) -> String {
        let source = || Some(source.as_bytes().to_vec());
        let forwarded_for = Some(forwarded_for.as_bytes()).filter(|value| !value.is_empty());
        String::from_utf8(connections.address(id, forwarded_for, source).unwrap()).unwrap()
    }

    #[test]
    fn a_connection_is_asked_about_once() {
        let connections = Connections::default();
        for ask in [true, false, false] {
            let evaluate = || {
                if ask {
                    (TrustLevel::Trusted, true)
                } else {
                    not_asked()
                }
            };

            let protocol = || {
                if ask {
                    Some(b"HTTP/2".to_vec())
                } else {
                    not_asked()
                }
            };

            assert_eq!(
                connections.trust_level(Some(7), evaluate, protocol),
                TrustLevel::Trusted
            );
            assert_eq!(
                connections.version(Some(7), not_asked).as_deref(),
                Some(b"2".as_slice())
            );

            let source = || {
                if ask {
                    Some(b"10.0.0.1:4711".to_vec())
                } else {
                    not_asked()
                }
            };

            assert_eq!(
                connections.address(Some(7), Some(OWN), source).as_deref(),
                Some(OWN)
            );
        }
    }

    #[test]
    fn another_connection_is_another_matter() {
        let connections = Connections::default();
        for (id, expected) in [
            (1, TrustLevel::Trusted),
            (1 + CACHE_SLOTS as u64, TrustLevel::Untrusted),
            (1, TrustLevel::Unknown),
        ] {
            assert_eq!(
                connections.trust_level(Some(id), || (expected, true), http2),
                expected,
                "{id}"
            );
        }

        assert_eq!(
            connections.trust_level(None, || (TrustLevel::Trusted, true), not_asked),
            TrustLevel::Trusted
        );
        assert_eq!(
            connections.trust_level(None, || (TrustLevel::Unknown, true), not_asked),
            TrustLevel::Unknown
        );
    }

    #[test]
    fn what_does_not_last_is_asked_for_again() {
        let connections = Connections::default();
        for level in [TrustLevel::Trusted, TrustLevel::Untrusted] {
            let over_quic = || Some(b"HTTP/3".to_vec());
            assert_eq!(
                connections.trust_level(Some(3), || (level, true), over_quic),
                level
            );
            assert_eq!(
                connections.version(Some(3), over_quic).as_deref(),
                Some(b"3".as_slice())
            );
        }

        for level in [TrustLevel::Trusted, TrustLevel::Unknown] {
            assert_eq!(
                connections.trust_level(Some(4), || (level, false), http2),
                level
            );
            connections.version(Some(4), http2);
        }

        for (protocol, version) in [
            ("HTTP/1.0", "1.0"),
            ("HTTP/1.1", "1.1"),
            ("HTTP/1.0", "1.1"),
        ] {
            let told = connections.version(Some(1), || Some(protocol.as_bytes().to_vec()));
            assert_eq!(told.as_deref(), Some(version.as_bytes()));
        }

        assert_eq!(connections.version(Some(2), || None), None);
        assert_eq!(
            connections
                .version(Some(2), || Some(b"QUIC".to_vec()))
                .as_deref(),
            Some(b"QUIC".as_slice())
        );
    }

    #[test]
    fn an_address_that_a_header_decides_is_never_remembered() {
        let connections = Connections::default();
        let requests = [
            ("10.0.0.1", "10.0.0.1:4711", "10.0.0.1"),
            ("10.0.0.1", "remembered", "10.0.0.1"),
            ("198.51.100.7", "198.51.100.7:0", "198.51.100.7"),
            ("198.51.100.7, 10.0.0.1", "198.51.100.7:0", "198.51.100.7"),
            ("", "203.0.113.1:0", "203.0.113.1"),
            ("10.0.0.1", "remembered", "10.0.0.1"),
        ];

        for (forwarded_for, source, expected) in requests {
            assert_eq!(
                address(&connections, Some(1), forwarded_for, source),
                expected,
                "{forwarded_for}"
            );
        }

        for (forwarded_for, source) in [
            ("10.0.0.1", "10.0.0.1:0"),
            ("", "10.0.0.1:4711"),
            ("10.0.0.2", "10.0.0.1:4711"),
        ] {
            let connections = Connections::default();
            assert_eq!(
                address(&connections, Some(1), forwarded_for, source),
                "10.0.0.1"
            );
            assert_eq!(
                address(&connections, Some(1), "10.0.0.1", "192.0.2.1:0"),
                "192.0.2.1",
                "{forwarded_for} {source}"
            );
        }
    }

    #[test]
    fn an_ipv6_address_stands_without_brackets() {
        let connections = Connections::default();
        for source in ["[2001:db8::1]:4711", "remembered"] {
            assert_eq!(
                address(&connections, Some(1), "2001:db8::1", source),
                "2001:db8::1"
            );
        }
    }
}
