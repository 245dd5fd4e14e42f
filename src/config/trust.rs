//! The section `trust`: peers that may send control and identity headers.

use ipnet::{IpNet, Ipv4Net};

use super::node::Node;
use super::value_source::filter_state;
use crate::recorder::trust::{Principal, Trust};

/// Loopback alone: every other network has to be named. Private addresses are not trusted by
/// default: behind a load balancer, or in a flat network of pods, each client has one.
const DEFAULT_CIDRS: [&str; 2] = ["127.0.0.0/8", "::1/128"];

/// Reads `trust`. Where certificates or principals are named and networks are not, no network is
/// trusted.
pub(super) fn trust(node: Option<Node<'_>>) -> Trust {
    let default_cidrs = || {
        DEFAULT_CIDRS
            .iter()
            .filter_map(|cidr| cidr.parse().ok())
            .collect()
    };

    let Some(mut object) = node.and_then(|node| node.object()) else {
        return Trust {
            cidrs: default_cidrs(),
            ..Trust::default()
        };
    };

    let cidrs = object.field("cidrs").map(|node| node.each(cidr));
    let uri_sans = object.field("uri_sans").map(|node| node.each(uri_san));
    let principals = object
        .field("filter_state")
        .map(|node| node.each(principal));
    object.finish();

    let names_others = uri_sans.is_some() || principals.is_some();
    Trust {
        cidrs: cidrs.unwrap_or_else(|| {
            if names_others {
                Vec::new()
            } else {
                default_cidrs()
            }
        }),
        uri_sans: uri_sans.unwrap_or_default(),
        principals: principals.unwrap_or_default(),
    }
}

fn cidr(node: &Node<'_>) -> Option<IpNet> {
    let parsed = network(node.text()?);
    if parsed.is_none() {
        node.refuse("must be a network such as 10.0.0.0/8 or fc00::/7");
    }
    parsed
}

/// IPv4-mapped addresses count as IPv4 addresses, so a network of them is an IPv4 network. A prefix
/// shorter than 96 bits is refused: `::ffff:10.0.0.0/8` would trust a part of IPv6, `::1` included.
fn network(text: &str) -> Option<IpNet> {
    /// The bits before the IPv4 address in a mapped one.
    const MAPPED: u8 = 96;
    let network = text.parse().ok()?;

    let IpNet::V6(v6) = network else {
        return Some(network);
    };
    let Some(v4) = v6.addr().to_ipv4_mapped() else {
        return Some(network);
    };
    Ipv4Net::new(v4, v6.prefix_len().checked_sub(MAPPED)?)
        .ok()
        .map(IpNet::V4)
}

fn uri_san(node: &Node<'_>) -> Option<String> {
    let text = node.non_empty_text()?;
    // Without a name after the scheme, every trust domain would match.
    let name = text
        .split_once(':')
        .filter(|(scheme, _)| !scheme.is_empty())
        .and_then(|(_, rest)| rest.strip_prefix("//"));

    if name.is_none_or(str::is_empty) {
        node.refuse(
            "must be the start of a URI with its trust domain, such as spiffe://mesh.internal/",
        );
        return None;
    }
    Some(text.to_owned())
}

fn principal(node: &Node<'_>) -> Option<Principal> {
    let mut object = node.object()?;
    let object_name = object.required("name").and_then(|node| filter_state(&node));
    let prefixes = object
        .required("prefixes")
        .map(|node| node.each_of_some(prefix));
    object.finish();

    Some(Principal {
        object: object_name?,
        prefixes: prefixes?,
    })
}

/// A URI needs its trust domain, as in a certificate; other texts are taken as they are.
fn prefix(node: &Node<'_>) -> Option<String> {
    let text = node.non_empty_text()?;
    if text.contains(':') {
        uri_san(node)
    } else {
        Some(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_mapped_addresses_is_an_ipv4_network() {
        for (text, expected) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::FFFF:a00:0/104", "10.0.0.0/8"),
            ("::ffff:10.1.2.3/128", "10.1.2.3/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("::/95", "::/95"),
            ("::fffe:10.0.0.0/104", "::fffe:a00:0/104"),
            ("::1/128", "::1/128"),
        ] {
            assert_eq!(network(text), Some(expected.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_network_wider_than_the_mapped_addresses_is_none() {
        for text in [
            "::ffff:0:0/95",
            "::ffff:10.0.0.0/8",
            "::ffff:10.0.0.0/0",
            "::ffff:10.0.0.0/129",
            "::ffff:10.0.0.0",
        ] {
            assert_eq!(network(text), None, "{text}");
        }
    }
}
