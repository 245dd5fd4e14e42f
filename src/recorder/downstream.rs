//! The client's side of a stream: the direct peer, the client as Envoy sees it, and the protocol; asked for once, and in
//! one host call where `audit.direct_peer` says all three.

use super::trust::address_without_port;
use crate::host::{Property, Stream};

/// What `audit.direct_peer` says of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerNote {
    /// Address of the direct peer, without port; `None` when no filter notes it.
    pub direct: Option<Vec<u8>>,
    /// Address of the client as Envoy sees it, and the protocol as Envoy writes it, where the note says them, too.
    client: Option<(Vec<u8>, Vec<u8>)>,
}

/// Every protocol's name begins so in Envoy (`source/common/http/utility.cc`, `getProtocolString`).
const PROTOCOL_PREFIX: &[u8] = b"HTTP/";

impl PeerNote {
    /// Asks for the note: one host call.
    #[must_use]
    pub fn read(stream: &dyn Stream) -> Self {
        stream.property(Property::DirectPeer).map(Self::parse).unwrap_or_default()
    }

    /// Either the address of the direct peer, or `<direct peer> <client> <protocol>`. What is not exactly that is an address
    /// as a whole: that of a pipe may have spaces.
    fn parse(note: Vec<u8>) -> Self {
        let mut words = note.split(|byte| *byte == b' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some(direct), Some(client), Some(protocol), None) if protocol.starts_with(PROTOCOL_PREFIX) => {
                Self { direct: Some(direct.to_vec()), client: Some((client.to_vec(), version(protocol))) }
            }
            _ => Self { direct: (!note.is_empty()).then_some(note), client: None },
        }
    }

    /// `client.address` and `network.protocol.version`: two more host calls where the note does not say them.
    #[must_use]
    pub fn client(self, stream: &dyn Stream) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        if let Some((address, version)) = self.client {
            return (Some(address), Some(version));
        }
        let source = stream.property(Property::SourceAddress);
        let protocol = stream.property(Property::Protocol);
        (source.map(|source| address_without_port(&source).to_vec()), protocol.as_deref().map(version))
    }
}

/// `HTTP/1.1` as `1.1`, which is what `network.protocol.version` holds.
fn version(protocol: &[u8]) -> Vec<u8> {
    protocol.strip_prefix(PROTOCOL_PREFIX).unwrap_or(protocol).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::fake::FakeStream;

    #[track_caller]
    fn check(note: &str, direct: Option<&str>, client: Option<(&str, &str)>) {
        let text = |text: &str| text.as_bytes().to_vec();
        let client = client.map(|(address, version)| (text(address), text(version)));
        let expected = PeerNote { direct: direct.map(text), client };
        assert_eq!(PeerNote::parse(note.as_bytes().to_vec()), expected, "{note}");
    }

    #[test]
    fn a_note_says_the_peer_or_all_three() {
        check("", None, None);
        check("10.1.2.3", Some("10.1.2.3"), None);
        check("::1", Some("::1"), None);
        check("10.1.2.3 8.8.8.8 HTTP/1.1", Some("10.1.2.3"), Some(("8.8.8.8", "1.1")));
        check("::1 2001:db8::1 HTTP/2", Some("::1"), Some(("2001:db8::1", "2")));
    }

    #[test]
    fn what_is_neither_is_one_address() {
        for note in ["/run/my peer", "/run/a b HTTP/1.1 c", "10.1.2.3 8.8.8.8", "10.1.2.3 8.8.8.8 -", "a b HTTP/2 "] {
            check(note, Some(note), None);
        }
    }

    #[test]
    fn a_note_that_says_all_three_leaves_nothing_to_ask() {
        let asked = |note: &str| {
            let stream = FakeStream::default().with_properties(&[
                (Property::DirectPeer, note),
                (Property::SourceAddress, "10.1.2.3:4567"),
                (Property::Protocol, "HTTP/2"),
            ]);
            let (address, version) = PeerNote::read(&stream).client(&stream);
            (address.unwrap(), version.unwrap(), stream.asked.into_inner().len())
        };
        assert_eq!(asked("10.9.9.9 8.8.8.8 HTTP/1.1"), (b"8.8.8.8".to_vec(), b"1.1".to_vec(), 1));
        assert_eq!(asked("10.9.9.9"), (b"10.1.2.3".to_vec(), b"2".to_vec(), 3));
    }
}
