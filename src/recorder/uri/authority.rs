//! The authority of a request (`:authority`, `Host`): its host and port.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::bytes;
use super::escapes::respelled;

/// An authority without its user information (RFC 3986, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// Without port and trailing dots, otherwise as received; an IPv6 literal keeps its brackets.
    pub host: &'a [u8],
    /// `None` if missing or not a 16-bit number.
    pub port: Option<u16>,
}

/// Splits an authority.
///
/// User information ends at the last `@`. A host ends at its first `:`, as servers that split it
/// read it. An IPv6 literal ends at its bracket; an IPv6 address without brackets has no port.
#[must_use]
pub fn split_authority(authority: &[u8]) -> Authority<'_> {
    let named = authority
        .rsplit(|byte| *byte == b'@')
        .next()
        .unwrap_or(authority);
    let (host, rest) = named
        .split_at_checked(host_end(named))
        .unwrap_or((named, &[]));

    Authority {
        host: without_final_dots(host),
        port: rest.strip_prefix(b":").and_then(port),
    }
}

fn host_end(named: &[u8]) -> usize {
    let find = |sought: u8| named.iter().position(|byte| *byte == sought);
    let end = if named.starts_with(b"[") {
        find(b']').map(|at| at + 1)
    } else {
        find(b':')
    };
    end.filter(|_| ipv6(named).is_none()).unwrap_or(named.len())
}

fn without_final_dots(mut host: &[u8]) -> &[u8] {
    while let Some(rest) = host.strip_suffix(b".") {
        host = rest;
    }
    host
}

fn port(digits: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(digits).ok()?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}

fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The host of an authority, normalized for comparison and recording. As in [`Authority::host`],
/// but in lower case, and a name without unnecessary percent-encoding.
#[must_use]
pub fn host_name(authority: &[u8]) -> Cow<'_, [u8]> {
    if bytes::has_odd_host_byte(authority) {
        return Cow::Owned(respelled_host(authority));
    }
    Cow::Borrowed(without_final_dots(authority))
}

#[cold]
#[inline(never)]
fn respelled_host(authority: &[u8]) -> Vec<u8> {
    let host = split_authority(authority).host;
    let mut name = if host.starts_with(b"[") {
        host.to_vec()
    } else {
        respelled(host)
    };
    name.make_ascii_lowercase();
    name.truncate(without_final_dots(&name).len());
    name
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Parses an IPv6 literal, since one address has many spellings.
#[must_use]
pub fn literal(host: &[u8]) -> Option<Ipv6Addr> {
    ipv6(host.strip_prefix(b"[")?.strip_suffix(b"]")?)
}

/// Whether a proxy or upstream may read another host from this authority than [`host_name`] does.
/// True for anything but a name or an IPv6 literal with an optional port.
///
/// Envoy compares the whole text with the domains of its virtual hosts. It forwards user
/// information, trailing dots and several colons. It joins several `Host` fields with commas.
#[must_use]
pub(in crate::recorder) fn is_ambiguous(authority: &[u8]) -> bool {
    let host = split_authority(authority).host;
    let Some(rest) = authority.strip_prefix(host) else {
        return true;
    };
    let is_port = rest
        .strip_prefix(b":")
        .is_some_and(|port| port.iter().all(u8::is_ascii_digit));

    !(rest.is_empty() || is_port)
        || !(host.iter().all(|byte| is_unreserved(*byte)) || literal(host).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn host_and_port() {
        for (authority, host, port) in [
            ("app.example.com", "app.example.com", None),
            ("app.example.com:8443", "app.example.com", Some(8443)),
            ("app.example.com:0", "app.example.com", Some(0)),
            ("app.example.com:65535", "app.example.com", Some(65535)),
            ("app.example.com:65536", "app.example.com", None),
            ("app.example.com:", "app.example.com", None),
            ("app.example.com:+80", "app.example.com", None),
            ("app.example.com:http", "app.example.com", None),
            ("app.example.com:80:90", "app.example.com", None),
            ("app.example.com.", "app.example.com", None),
            ("app.example.com..:80", "app.example.com", Some(80)),
            ("App.Example.com", "App.Example.com", None),
            ("x@app.example.com", "app.example.com", None),
            ("user:pass@app.example.com:80", "app.example.com", Some(80)),
            ("user:p@ss@app.example.com", "app.example.com", None),
            ("@app.example.com", "app.example.com", None),
            ("[::1]", "[::1]", None),
            ("[::1]:8080", "[::1]", Some(8080)),
            ("x@[2001:db8::7]:80", "[2001:db8::7]", Some(80)),
            ("[::1]8080", "[::1]", None),
            ("[::1", "[::1", None),
            ("::1", "::1", None),
            ("2001:db8::7", "2001:db8::7", None),
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            (":80", "", Some(80)),
            ("user@", "", None),
            ("..", "", None),
            ("", "", None),
        ] {
            let expected = Authority {
                host: host.as_bytes(),
                port,
            };

            assert_eq!(
                split_authority(authority.as_bytes()),
                expected,
                "{authority}"
            );
        }
    }

    #[test]
    fn one_name_for_all_spellings() {
        for (authority, expected) in [
            ("app.example.com", "app.example.com"),
            ("APP.Example.COM:443", "app.example.com"),
            ("app.example.com.", "app.example.com"),
            ("user:Secret@app.example.com.:80", "app.example.com"),
            ("%61pp%2Eexample.com%2e", "app.example.com"),
            ("%41pp.example.com", "app.example.com"),
            ("a%C3%BC%", "a%c3%bc%25"),
            ("a_b", "a_b"),
            ("[2001:DB8::A]:80", "[2001:db8::a]"),
            ("[::1].", "[::1]"),
            ("a,b", "a,b"),
            ("", ""),
        ] {
            assert_eq!(
                text(&host_name(authority.as_bytes())),
                expected,
                "{authority}"
            );
        }
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn literals_are_compared_as_addresses() {
        let address = "2001:db8::7".parse().ok();
        assert_eq!(literal(b"[2001:db8::7]"), address);
        assert_eq!(literal(b"[2001:0DB8:0:0:0:0:0:7]"), address);

        for other in [
            "2001:db8::7",
            "[2001:db8::7",
            "[127.0.0.1]",
            "[]",
            "[fe80::1%25eth0]",
        ] {
            assert_eq!(literal(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn ambiguous_authorities() {
        for (authority, expected) in [
            ("health.internal", false),
            ("Health.Internal:8080", false),
            ("a_b-c~d:", false),
            ("127.0.0.1", false),
            ("[::1]", false),
            ("[::1]:80", false),
            ("", false),
            ("health.internal.", true),
            ("health.internal.:80", true),
            ("health.internal:80:90", true),
            ("health.internal:x", true),
            ("x@health.internal", true),
            ("health.internal@x", true),
            ("health.internal,app", true),
            ("app,health.internal", true),
            ("%68ealth.internal", true),
            ("::1", true),
            ("[::1", true),
            ("[health.internal]", true),
            ("[::1]x", true),
        ] {
            assert_eq!(is_ambiguous(authority.as_bytes()), expected, "{authority}");
        }
    }

    proptest! {
        #[test]
        fn the_short_way_names_what_the_long_one_does(authority in "([]a-zA-Z0-9:@%\\[._~!$&'()*+,;=-]|%[46][0-9a-f]){0,20}") {
            let authority = authority.as_bytes();
            prop_assert_eq!(host_name(authority).into_owned(), respelled_host(authority));
        }

        #[test]
        fn no_spelling_of_a_host_hides_it(
            user in "([a-z:@%]{0,4}@)?", host in "[a-z0-9]{1,6}(\\.[a-z0-9]{1,6}){0,2}", dots in "\\.{0,2}", port in "(:[0-9]{0,5})?",
            at in any::<prop::sample::Index>(), upper: bool, encoded: bool
        ) {
            let (before, after) = host.split_at(at.index(host.len()));
            let byte = after.as_bytes()[0];
            let byte = if upper { byte.to_ascii_uppercase() } else { byte };
            let spelled = if encoded { format!("%{byte:02X}") } else { char::from(byte).to_string() };
            let host_spelled = [before, &spelled, after.split_at(1).1].concat();
            let authority = [user.as_str(), &host_spelled, &dots, &port].concat();

            prop_assert_eq!(host_name(authority.as_bytes()).into_owned(), host.into_bytes());
        }

        #[test]
        fn what_is_not_ambiguous_is_its_host_and_port(authority in "[a-z@:.%,]{0,8}(:[0-9]{0,2})?") {
            let Authority { host, .. } = split_authority(authority.as_bytes());
            let rest = authority.strip_prefix(text(host));
            let is_whole = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
            prop_assert!(is_whole || is_ambiguous(authority.as_bytes()), "{}", authority);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (host_name(&bytes), is_ambiguous(&bytes), literal(&bytes));
        }
    }
}
