//! Whose control headers count.

use super::*;

const ALL: [(&str, &str); 3] = [TRACK, CONTEXT, ("x-session-operation", "o")];

#[test]
fn an_untrusted_peer_is_not_heard() {
    for (peer, unknown) in [(UNTRUSTED, false), (UNKNOWN, true), ("203.0.113.9:0", true)] {
        let run = Case::new("POST", "/login").headers(&ALL).peer(peer).not_recorded();
        assert_eq!(run.removed, ["x-session-track", "x-session-operation", "x-session-context"], "{peer}");
        assert_eq!(run.stats.counter(Counter::HeadersSpoofed), 3, "{peer}");
        assert_eq!(run.stats.counter(Counter::SkippedEmptyContext), 0, "{peer}");
        assert_eq!(run.peer_unknown, unknown, "{peer}");
    }
}

#[test]
fn the_direct_peer_decides() {
    let direct = |peer: &str, source: &str| {
        let properties = [(Property::DirectPeer, peer), (Property::SourceAddress, source)];
        Case::new("POST", "/").headers(&ALL).stream(|stream| stream.with_properties(&properties))
    };
    let record = direct("10.0.0.1", "198.51.100.7:0").recorded();
    assert_eq!(optional(record.client_address.as_ref()), Some("198.51.100.7"));
    let run = direct("203.0.113.9", TRUSTED).not_recorded();
    assert!(!run.peer_unknown);
}

#[test]
fn a_certificate_decides_in_any_case() {
    let mesh = json!({"trust": {"cidrs": [], "uri_sans": ["spiffe://mesh.internal/"]}});
    let case = |san: &str| {
        let properties = [(Property::PeerUriSan, san)];
        Case::new("POST", "/").config(&mesh).headers(&ALL).stream(|stream| stream.with_properties(&properties))
    };
    case("spiffe://mesh.internal/ns/a").peer(UNKNOWN).rule(Some("tracked"));
    case("spiffe://mesh.evil/ns/a").rule(None);
    case("").rule(None);
}

#[test]
fn only_a_control_header_makes_it_ask() {
    let run = Case::new("POST", "/login").headers(&[("cookie", "a"), ("x-request-id", "b")]).peer(UNTRUSTED).run();
    assert_eq!((run.asked, run.peer_unknown), (vec![], false));
    let mut case = Case::new("POST", "/login").headers(&[("x-session-track", "x")]);
    case.trailers = owned(&[TRACK]);
    let run = case.run();
    let of_verdict = [Property::ConnectionId, Property::DirectPeer, Property::SourceAddress];
    assert_eq!(run.asked, of_verdict, "judged once per exchange");
    let run = Case::new("GET", "/check").run();
    let of_record =
        [Property::ConnectionId, Property::Protocol, Property::ResponseCodeDetails, Property::SourceAddress];
    assert_eq!(run.asked, of_record, "a plain record asks for what it holds");
}
