//! Tunnels: CONNECT, CONNECT-UDP and upgrades such as WebSocket. The action is the target.

use crate::recorder::bounds::{MAX_NAME_BYTES, clipped};
use crate::recorder::rules::RequestHead;
use crate::recorder::uri::authority;
use crate::recorder::uri::escapes::escape;

/// A request for a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::recorder) struct Tunnel {
    /// First word of the action; `None`: the method, as for any request (an upgrade).
    word: Option<&'static str>,
    /// Host of the target, without port.
    host: Vec<u8>,
    /// Port of the target.
    pub(in crate::recorder) port: Option<u16>,
}

/// Path prefix of CONNECT-UDP in the default template, before host and port (RFC 9298 section 3).
const UDP_PATH: &[u8] = b"/.well-known/masque/udp/";

impl Tunnel {
    /// Reads a request; `None` if it requests no tunnel.
    ///
    /// Envoy presents the extended CONNECT of HTTP/2 and HTTP/3 to filters as the equivalent
    /// HTTP/1.1 upgrade.
    pub(in crate::recorder) fn of(head: &RequestHead<'_>) -> Option<Self> {
        let to_authority = |word| {
            let host = authority::host_name(head.authority);
            let port = authority::split_authority(head.authority).port;
            Some(Self {
                word,
                host: clipped(&host, MAX_NAME_BYTES).to_vec(),
                port,
            })
        };

        if head.method == b"CONNECT" {
            return to_authority(Some("CONNECT"));
        }

        let upgrade = head.headers.first("upgrade")?;
        if upgrade.eq_ignore_ascii_case(b"connect-udp") {
            return Self::of_udp(head.path).or_else(|| to_authority(Some("CONNECT-UDP")));
        }

        to_authority(None)
    }

    fn of_udp(path: &[u8]) -> Option<Self> {
        let mut parts = path.strip_prefix(UDP_PATH)?.split(|byte| *byte == b'/');
        let (host, port) = (decoded(parts.next()?), parts.next()?);
        let port = str::from_utf8(port).ok()?.parse().ok()?;
        let host = clipped(&authority::host_name(&host), MAX_NAME_BYTES).to_vec();
        Some(Self {
            word: Some("CONNECT-UDP"),
            host,
            port: Some(port),
        })
    }

    /// Whether this response opens the tunnel. CONNECT is always a tunnel; an upgrade is one if the
    /// server accepts it.
    pub(in crate::recorder) fn is_open(&self, http_status: Option<u16>) -> bool {
        /// Switching Protocols (RFC 9110 section 15.2.2).
        const ACCEPTED: u16 = 101;
        self.word == Some("CONNECT") || http_status == Some(ACCEPTED)
    }

    /// The target, if it differs from the request's authority.
    pub(in crate::recorder) fn target(&self) -> Option<&[u8]> {
        self.word.map(|_| self.host.as_slice())
    }

    /// `CONNECT host:port`; `None` for an upgrade, which is named by method and path.
    pub(in crate::recorder) fn action(&self) -> Option<Vec<u8>> {
        let word = self.word?.as_bytes();
        let port = self
            .port
            .map_or_else(String::new, |port| format!(":{port}"));
        let has_colon = self.host.contains(&b':') && !self.host.starts_with(b"[");
        let [open, close]: [&[u8]; 2] = if has_colon { [b"[", b"]"] } else { [b"", b""] };
        Some([word, b" ", open, &self.host, close, port.as_bytes()].concat())
    }
}

/// Percent-decodes: the colons of an IPv6 address must be encoded in a CONNECT-UDP path.
fn decoded(segment: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(segment.len()), segment);
    while let Some((&byte, tail)) = rest.split_first() {
        let decoded = escape(rest);
        out.push(decoded.unwrap_or(byte));
        rest = if decoded.is_some() {
            rest.get(3..).unwrap_or_default()
        } else {
            tail
        };
    }

    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::headers::Headers;

    fn tunnel(method: &str, authority: &str, path: &str, upgrade: Option<&str>) -> Option<Tunnel> {
        let headers: Headers<'_> = upgrade
            .iter()
            .map(|value| (b"upgrade".as_slice(), value.as_bytes()))
            .collect();
        let (method, path, authority) = (method.as_bytes(), path.as_bytes(), authority.as_bytes());

        Tunnel::of(&RequestHead {
            headers: &headers,
            method,
            path,
            authority,
            tracked: false,
        })
    }

    fn action(tunnel: &Tunnel) -> Option<String> {
        tunnel
            .action()
            .map(|action| String::from_utf8(action).unwrap())
    }

    #[test]
    fn connect_names_its_target() {
        for (authority, expected, port) in [
            (
                "target.example:443",
                "CONNECT target.example:443",
                Some(443),
            ),
            ("target.example", "CONNECT target.example", None),
            ("[::1]:80", "CONNECT [::1]:80", Some(80)),
            ("target.example:99999", "CONNECT target.example", None),
            (
                "x:secret@Target.example.:443",
                "CONNECT target.example:443",
                Some(443),
            ),
        ] {
            let found = tunnel("CONNECT", authority, "", None).unwrap();
            assert_eq!(
                (action(&found).as_deref(), found.port),
                (Some(expected), port),
                "{authority}"
            );
        }
    }

    #[test]
    fn connect_udp_names_the_target_in_its_path() {
        let udp = |path| tunnel("GET", "proxy.example:443", path, Some("connect-udp")).unwrap();
        let found = udp("/.well-known/masque/udp/192.0.2.6/443/");

        assert_eq!(
            (action(&found).as_deref(), found.port),
            (Some("CONNECT-UDP 192.0.2.6:443"), Some(443))
        );
        assert_eq!(found.target(), Some(b"192.0.2.6".as_slice()));

        let found = udp("/.well-known/masque/udp/2001%3Adb8%3A%3A42/53/");
        assert_eq!(
            action(&found).as_deref(),
            Some("CONNECT-UDP [2001:db8::42]:53")
        );

        let found = udp("/.well-known/masque/udp/x:secret@Target.example./53/");
        assert_eq!(
            action(&found).as_deref(),
            Some("CONNECT-UDP target.example:53")
        );

        let other = udp("/udp?h=192.0.2.6");
        assert_eq!(
            action(&other).as_deref(),
            Some("CONNECT-UDP proxy.example:443")
        );
    }

    #[test]
    fn an_upgrade_is_named_by_its_method_and_path() {
        let found = tunnel("GET", "chat.example:8080", "/ws", Some("websocket")).unwrap();
        assert_eq!(
            (action(&found), found.port, found.target()),
            (None, Some(8080), None)
        );
        assert_eq!(tunnel("GET", "chat.example:8080", "/ws", None), None);
    }
}
