//! The sections about requests: `tracking`, `trust` and `correlation`.

use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};

use super::node::{Node, Object};
use super::text::header_name;
use crate::recorder::correlation::Scope;
use crate::recorder::session::ID_HEADER;
use crate::recorder::tracking::Settings;
use crate::recorder::trust::Trust;

/// Reads `tracking`.
pub(super) fn tracking(node: Option<Node<'_>>, correlation_headers: [String; 2]) -> Settings {
    let mut settings = Settings {
        track_header: "x-session-track".to_owned(),
        operation_header: "x-session-operation".to_owned(),
        context_header: "x-session-context".to_owned(),
        strip_context: false,
        record_empty_context: false,
        max_context_bytes: 8192,
        correlation_headers,
    };
    let Some(mut object) = node.and_then(|node| node.object()) else { return settings };
    settings.track_header = object.read("track_header", settings.track_header, header_name);
    settings.operation_header = object.read("operation_header", settings.operation_header, header_name);
    settings.context_header = object.read("context_header", settings.context_header, header_name);
    settings.strip_context = object.read("strip_context", false, Node::boolean);
    settings.record_empty_context =
        object.read("on_empty_context", false, |node| node.one_of(&[("skip", false), ("record", true)]));
    settings.max_context_bytes =
        object.read("max_context_bytes", settings.max_context_bytes, |node| node.size(1, 65_536));
    object.finish();
    settings
}

/// Reads `stages`: after how long an exchange that is going on has a record of its own (`started_after`), and a stream that
/// sends nothing (`alive_interval`). `None` for `0s`.
///
/// A day at the most: time is kept in milliseconds of 32 bits, which is 49 days.
pub(super) fn stages(node: Option<Node<'_>>) -> [Option<Duration>; 2] {
    /// Long enough that ordinary requests have none.
    const STARTED_AFTER: Duration = Duration::from_secs(60);
    /// Soon enough to notice that a proxy was killed before its replacement is forgotten, at two callouts a minute.
    const ALIVE_INTERVAL: Duration = Duration::from_secs(30);
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let mut durations = [STARTED_AFTER, ALIVE_INTERVAL];
    if let Some(mut object) = node.and_then(|node| node.object()) {
        for (key, duration) in ["started_after", "alive_interval"].into_iter().zip(&mut durations) {
            *duration = object.read(key, *duration, |node| node.duration(Duration::ZERO, DAY));
        }
        object.finish();
    }
    durations.map(|duration| Some(duration).filter(|duration| !duration.is_zero()))
}

/// The headers that are removed and set must have names of their own: not each other's, nor that in which a new session id
/// is returned, nor one that HTTP gives a meaning to.
pub(super) fn check_names(settings: &Settings, root: &Object<'_>) {
    const RESERVED: [&str; 7] =
        [ID_HEADER, "authorization", "content-length", "content-type", "cookie", "host", "transfer-encoding"];
    let [session_id, sequence] = &settings.correlation_headers;
    let names = [&settings.track_header, &settings.operation_header, &settings.context_header, session_id, sequence];
    if has_duplicates(&names) {
        root.refuse("the headers of tracking and correlation must have five names");
    }
    if names.iter().any(|name| RESERVED.contains(&name.as_str())) {
        root.refuse("no header of tracking and correlation may be x-audit-session-id, or one that HTTP needs");
    }
}

fn has_duplicates(names: &[&String]) -> bool {
    names.iter().enumerate().any(|(index, name)| names.iter().skip(index + 1).any(|other| other == name))
}

/// Loopback and the private networks (RFC 1918, RFC 4193): where a mesh's own proxies are.
const DEFAULT_CIDRS: [&str; 6] =
    ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"];

/// Reads `trust`.
pub(super) fn trust(node: Option<Node<'_>>) -> Trust {
    let default_cidrs = || DEFAULT_CIDRS.iter().filter_map(|cidr| cidr.parse().ok()).collect();
    let Some(mut object) = node.and_then(|node| node.object()) else {
        return Trust { cidrs: default_cidrs(), uri_sans: Vec::new() };
    };
    let cidrs = object.field("cidrs").map_or_else(default_cidrs, |node| node.each(cidr));
    let uri_sans = object.field("uri_sans").map(|node| node.each(uri_san)).unwrap_or_default();
    object.finish();
    Trust { cidrs, uri_sans }
}

fn cidr(node: &Node<'_>) -> Option<IpNet> {
    let parsed = network(node.text()?);
    if parsed.is_none() {
        node.refuse("must be a network such as 10.0.0.0/8 or fc00::/7");
    }
    parsed
}

/// IPv4-mapped addresses count as IPv4 addresses, so a network of them is an IPv4 network. One that is wider than all of them
/// is none at all: `::ffff:10.0.0.0/8` would trust a part of IPv6, `::1` included.
fn network(text: &str) -> Option<IpNet> {
    /// What is before the IPv4 address in a mapped one, in bits.
    const MAPPED: u8 = 96;
    let network = text.parse().ok()?;
    let IpNet::V6(v6) = network else { return Some(network) };
    let Some(v4) = v6.addr().to_ipv4_mapped() else { return Some(network) };
    Ipv4Net::new(v4, v6.prefix_len().checked_sub(MAPPED)?).ok().map(IpNet::V4)
}

fn uri_san(node: &Node<'_>) -> Option<String> {
    let text = node.non_empty_text()?;
    // Without a name behind the scheme every trust domain would be meant.
    let name =
        text.split_once(':').filter(|(scheme, _)| !scheme.is_empty()).and_then(|(_, rest)| rest.strip_prefix("//"));
    if name.is_none_or(str::is_empty) {
        node.refuse("must be the start of a URI with its trust domain, such as spiffe://mesh.internal/");
        return None;
    }
    Some(text.to_owned())
}

/// Reads `correlation`: the two names, and who shares a session of numbers.
pub(super) fn correlation(node: Option<Node<'_>>) -> ([String; 2], Scope) {
    let mut names = ["x-audit-stream-id".to_owned(), "x-audit-sequence-number".to_owned()];
    let Some(mut object) = node.and_then(|node| node.object()) else { return (names, Scope::Worker) };
    let [session_id, sequence] = &mut names;
    *session_id = object.read("session_id_header", session_id.clone(), header_name);
    *sequence = object.read("sequence_header", sequence.clone(), header_name);
    let words = [("worker", Scope::Worker), ("process", Scope::Process)];
    let scope = object.read("scope", Scope::Worker, |node| node.one_of(&words));
    object.finish();
    (names, scope)
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
        for text in
            ["::ffff:0:0/95", "::ffff:10.0.0.0/8", "::ffff:10.0.0.0/0", "::ffff:10.0.0.0/129", "::ffff:10.0.0.0"]
        {
            assert_eq!(network(text), None, "{text}");
        }
    }
}
