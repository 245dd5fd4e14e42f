//! Log lines about untrusted peers that send control or identity headers: one per network.

use std::cell::RefCell;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Peer;

/// Upper bound of networks named per configuration, since untrusted clients may have any address. A
/// proxy missing from the configuration is usually among the first.
const MAX_NETWORKS: usize = 8;

/// Advice if the address was taken from a header.
const OF_HEADER: &str = "control or identity headers came from a peer that cannot be known, since its address was \
    taken from x-forwarded-for: they count as absent; let a set_filter_state filter before this one provide \
    audit.direct_peer, or name the peer by its certificate in trust.uri_sans";

/// Advice for an internal listener or a Unix socket.
const NO_ADDRESS: &str = "control or identity headers came from a peer that has no IP address (an internal listener or a \
    Unix socket): they count as absent; name the peer in trust.filter_state, as a waypoint's io.istio.peer_principal";

/// State of the lines: those already made, and those not yet printed.
#[derive(Debug, Default)]
pub(in crate::recorder) struct Distrust(RefCell<Lines>);

#[derive(Debug, Default)]
struct Lines {
    networks: Vec<IpNet>,
    has_named: [bool; 2],
    waiting: Vec<String>,
}

impl Distrust {
    /// Notes an untrusted peer.
    pub(in crate::recorder) fn note(&self, peer: Peer) {
        let mut lines = self.0.borrow_mut();
        match peer {
            Peer::Address(address) => lines.note_network(address),
            Peer::OfHeader => lines.note_once(0, OF_HEADER),
            Peer::NoAddress => lines.note_once(1, NO_ADDRESS),
        }
    }

    /// The next line to print.
    pub(in crate::recorder) fn poll(&self) -> Option<String> {
        self.0.borrow_mut().waiting.pop()
    }
}

impl Lines {
    fn note_once(&mut self, kind: usize, line: &str) {
        if let Some(has_named) = self.has_named.get_mut(kind)
            && !std::mem::replace(has_named, true)
        {
            self.waiting.push(line.to_owned());
        }
    }

    fn note_network(&mut self, address: IpAddr) {
        let Some(network) = network_of(address) else {
            return;
        };

        if self.networks.len() < MAX_NETWORKS && !self.networks.contains(&network) {
            self.networks.push(network);
            self.waiting.push(format!(
                "control or identity headers from {network} count as absent; if a proxy of yours sends them, add its \
                 network to trust.cidrs, or the start of its certificate's URI SAN to trust.uri_sans"
            ));
        }
    }
}

/// The usual size of one network: 256 IPv4 addresses, or an IPv6 subnet (RFC 4291, section 2.5.4).
fn network_of(address: IpAddr) -> Option<IpNet> {
    let bits = if address.is_ipv4() { 24 } else { 64 };
    IpNet::new(address, bits)
        .ok()
        .map(|network| network.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Peer {
        Peer::Address(text.parse().unwrap())
    }

    fn lines(distrust: &Distrust) -> Vec<String> {
        std::iter::from_fn(|| distrust.poll()).collect()
    }

    #[test]
    fn each_network_is_named_once() {
        let distrust = Distrust::default();
        for peer in [
            "10.1.2.3",
            "10.1.2.4",
            "10.1.3.1",
            "2001:db8::1",
            "2001:db8::2",
        ] {
            distrust.note(address(peer));
        }

        let lines = lines(&distrust);
        assert_eq!(lines.len(), 3, "{lines:?}");
        for network in ["10.1.2.0/24", "10.1.3.0/24", "2001:db8::/64"] {
            assert!(
                lines.iter().any(|line| line.contains(network)),
                "{network} {lines:?}"
            );
        }

        assert!(lines.iter().all(|line| line.contains("trust.cidrs")));
    }

    #[test]
    fn strangers_fill_no_log() {
        let distrust = Distrust::default();
        for third in 0..=u8::MAX {
            distrust.note(address(&format!("203.0.{third}.1")));
        }
        assert_eq!(lines(&distrust).len(), MAX_NETWORKS);
    }

    #[test]
    fn what_has_no_address_has_a_remedy_of_its_own() {
        let distrust = Distrust::default();
        for _ in 0..3 {
            distrust.note(Peer::OfHeader);
            distrust.note(Peer::NoAddress);
        }

        let lines = lines(&distrust);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines.iter().any(|line| line.contains("audit.direct_peer")),
            "{lines:?}"
        );
        assert!(
            lines.iter().any(|line| line.contains("trust.filter_state")),
            "{lines:?}"
        );
    }
}
