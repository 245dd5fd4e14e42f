//! The texts in which Envoy gives an address.

use std::net::IpAddr;

/// Whether Envoy took this `ip:port` from a header: the port is then 0.
#[must_use]
pub fn is_of_header(source: &[u8]) -> bool {
    split_port(source).is_some_and(|(_, port)| port == b"0")
}

/// The IP address in `ip:port` or `[ip]:port` text, without its port.
#[must_use]
pub fn address_without_port(source: &[u8]) -> &[u8] {
    split_port(source).map_or(source, |(address, _)| unbracketed(address))
}

pub(super) fn split_port(source: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = source.iter().rposition(|byte| *byte == b':')?;
    Some((source.get(..colon)?, source.get(colon + 1..)?))
}

fn unbracketed(address: &[u8]) -> &[u8] {
    address
        .strip_prefix(b"[")
        .and_then(|rest| rest.strip_suffix(b"]"))
        .unwrap_or(address)
}

/// Parses an IP address; IPv4-mapped IPv6 becomes IPv4. The zone of a link-local address
/// (`fe80::1%eth0`, RFC 4007, section 11) is dropped.
pub(super) fn parse_ip(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(unbracketed(text)).ok()?;
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address
        .parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_cut() {
        assert_eq!(address_without_port(b"127.0.0.1:80"), b"127.0.0.1");
        assert_eq!(address_without_port(b"[::1]:80"), b"::1");
        assert_eq!(address_without_port(b"pipe"), b"pipe");
    }
}
