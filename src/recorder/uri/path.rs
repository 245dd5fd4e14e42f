//! Request paths: normalization and ambiguity.

use std::borrow::Cow;

use super::escapes::{decoded, is_pchar, respelled};

/// The normalized path of a request target: no query, no fragment, every byte spelled as by
/// [`respelled`], `//` merged, `.` and `..` resolved (RFC 3986, section 5.2.4). Idempotent.
///
/// A target that does not start with `/` (`*`, authority form) only loses its query.
#[must_use]
pub fn normalize(target: &[u8]) -> Cow<'_, [u8]> {
    match normal_end(target) {
        Some(end) => Cow::Borrowed(target.get(..end).unwrap_or(target)),
        None => changed(without_query(target)),
    }
}

/// Nearly all paths are already normalized.
#[cold]
#[inline(never)]
fn changed(path: &[u8]) -> Cow<'_, [u8]> {
    if path.first() != Some(&b'/') {
        return Cow::Borrowed(path);
    }
    Cow::Owned(resolve(&respelled(path)))
}

/// End of the path in a target, in one pass. `None` if [`normalize`] may have to change it, which
/// is rare.
fn normal_end(target: &[u8]) -> Option<usize> {
    let mut rest = target.iter();
    while let Some(&byte) = rest.next() {
        if is_pchar(byte) {
            continue;
        }
        match byte {
            b'/' if !matches!(rest.as_slice().first(), Some(b'/' | b'.')) => {}
            b'?' | b'#' => return Some(target.len() - rest.len() - 1),
            _ => return None,
        }
    }

    Some(target.len())
}

fn without_query(target: &[u8]) -> &[u8] {
    let end = target
        .iter()
        .position(|byte| matches!(byte, b'?' | b'#'))
        .unwrap_or(target.len());
    target.get(..end).unwrap_or(target)
}

fn resolve(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut ends_in_slash = false;

    for segment in path.split(|byte| *byte == b'/') {
        ends_in_slash = matches!(segment, b"" | b"." | b"..");
        if segment == b".." {
            out.truncate(
                out.iter()
                    .rposition(|byte| *byte == b'/')
                    .unwrap_or_default(),
            );
        } else if !ends_in_slash {
            out.push(b'/');
            out.extend_from_slice(segment);
        }
    }

    if ends_in_slash || out.is_empty() {
        out.push(b'/');
    }

    out
}

/// Whether an upstream may read another path from this target than [`normalize`] does, because of
///
/// - segments to merge or resolve: not all servers do, and not in the same way. For example
///   `//healthz/admin` is `/admin` on the host `healthz`, if a server reads the target as a
///   relative reference;
/// - `;`: servlet containers cut off path parameters, and resolve `..` after that;
/// - a segment that starts with `..`;
/// - an encoded byte that separates or ends something (`/`, `\`, `?`, `#`, `%`, a control
///   character): some servers decode before they split, and some twice;
/// - invalid UTF-8: lenient decoders accept overlong forms of `/` and `.`.
#[must_use]
pub fn is_ambiguous(target: &[u8]) -> bool {
    if let Some(end) = normal_end(target) {
        return target.iter().take(end).any(|byte| *byte == b';');
    }

    let path = without_query(target);
    let (mut text, mut has_separator) = (Vec::with_capacity(path.len()), false);
    for (byte, is_encoded) in decoded(path) {
        has_separator |=
            byte.is_ascii_control() || b";\\?#%".contains(&byte) || is_encoded && byte == b'/';
        text.push(byte);
    }

    let mut segments = text.split(|byte| *byte == b'/');
    has_separator
        || segments.any(|segment| segment == b"." || segment.starts_with(b".."))
        || text.windows(2).any(|pair| pair == b"//")
        || std::str::from_utf8(&text).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(target: &str, expected: &str) {
        assert_eq!(
            String::from_utf8_lossy(&normalize(target.as_bytes())),
            expected,
            "{target}"
        );
    }

    #[test]
    fn normal_form() {
        check("/check", "/check");
        check("/check?x=1", "/check");
        check("/check#top", "/check");
        check("//check", "/check");
        check("/%63heck", "/check");
        check("/a/../check", "/check");
        check("/a/%2e%2E/check", "/check");
        check("/a/./b/", "/a/b/");
        check("/a/..", "/");
        check("/../../a", "/a");
        check("/a/b/../c/../d", "/a/d");
        check("/.hidden", "/.hidden");
        check("/...", "/...");
        check("/a/b/..", "/a/");
        check("/", "/");
        check("*", "*");
        check("", "");
        check("?x", "");
    }

    #[test]
    fn one_spelling_for_each_byte() {
        check("/orders%3Acancel", "/orders:cancel");
        check("/%21%24%26%27%28%29%2A%2b%2C%3b%3d%40", "/!$&'()*+,;=@");
        check("/%41%7a%30%2d%2E%5f%7E", "/Az0-._~");
        check("/a%2fb", "/a%2Fb");
        check("/a%2Fb", "/a%2Fb");
        check("/m%c3%bcller", "/m%C3%BCller");
        check("/m\u{fc}ller", "/m%C3%BCller");
        check(r#"/ "<>[\]^`{|}"#, "/%20%22%3C%3E%5B%5C%5D%5E%60%7B%7C%7D");
        check("/%", "/%25");
        check("/a%2", "/a%252");
        check("/%%36%31", "/%2561");
        check("/a%3Fb?c", "/a%3Fb");
        check("/\t\u{7f}%00", "/%09%7F%00");
    }

    #[test]
    fn every_byte_alone() {
        // RFC 3986, section 3.3.
        let pchars =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@";

        for byte in u8::MIN..=u8::MAX {
            let escaped = format!("/%{byte:02X}");
            let expected = if pchars.contains(&byte) {
                vec![b'/', byte]
            } else {
                escaped.clone().into_bytes()
            };

            assert_eq!(respelled(escaped.as_bytes()), expected, "{byte:#x}");
            assert_eq!(
                respelled(escaped.to_ascii_lowercase().as_bytes()),
                expected,
                "{byte:#x}"
            );

            let raw = if byte == b'/' {
                b"//".to_vec()
            } else {
                expected
            };

            assert_eq!(respelled(&[b'/', byte]), raw, "{byte:#x}");
        }
    }

    #[test]
    fn ambiguous_targets() {
        for target in [
            "/healthz/..%2fadmin",
            "/healthz/%2e%2e%2fadmin",
            "/healthz/..;/admin",
            "/healthz\\..\\admin",
            "/healthz/..%5Cadmin",
            "/healthz;x=1",
            "/healthz%3bx",
            "/healthz/%252e%252e/admin",
            "/healthz/%%32%65%%32%65/admin",
            "/healthz/%",
            "/admin%00.png",
            "/admin%3f.png",
            "/admin%23.png",
            "/admin%0A.png",
            "/admin%7f",
            "/healthz/%c0%ae%C0%AE/admin",
            "/healthz/%e0%80%af",
            "/healthz/..%20/admin",
            "/healthz/...",
            "/a/../healthz",
            "/a/%2e%2e/healthz",
            "/./healthz",
            "//healthz/admin",
            "/healthz//x",
            "/admin/..",
        ] {
            assert!(is_ambiguous(target.as_bytes()), "{target}");
        }
    }

    #[test]
    fn targets_with_one_reading() {
        for target in [
            "/healthz",
            "/healthz?x=..%2f;//",
            "/%68ealthz",
            "/healthz/",
            "/",
            "*",
            "",
            "/a:b@c,d=e+f!",
            "/my%20file.png",
            "/m%C3%BCller",
            "/m\u{fc}ller",
            "/%22%3C%3E%5B%5D%5E%60%7B%7C%7D",
            "/.well-known/x",
            "/a..b/c.",
        ] {
            assert!(!is_ambiguous(target.as_bytes()), "{target}");
        }
    }

    /// Targets with a high share of significant bytes.
    fn target() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            4 => "[a-z@_]{0,3}[/.%;?#~-]{0,2}".prop_map(String::into_bytes),
            2 => prop::sample::select(vec!["/../", "%2e", "%2F", "%41", "%%36", "%25", "\\", "/..;", "%c3%bc", "//"])
                .prop_map(|text| text.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..3),
        ];
        prop::collection::vec(part, 0..8)
            .prop_map(|parts| [b"/", parts.concat().as_slice()].concat())
    }

    proptest! {
        #[test]
        fn the_short_way_ends_where_the_long_one_does(target in target(), skip in 0..2_usize) {
            let target = &target[skip..];
            let path = target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap();
            let expected = if path.starts_with(b"/") { resolve(&respelled(path)) } else { path.to_vec() };
            prop_assert_eq!(normalize(target).into_owned(), expected);
        }

        #[test]
        fn a_normal_form_is_its_own_and_has_one_spelling(target in target()) {
            let once = normalize(&target).into_owned();
            prop_assert_eq!(normalize(&once).into_owned(), once.clone());
            prop_assert!(once.split(|byte| *byte == b'/').all(|segment| segment != b"." && segment != b".."));
            prop_assert!(once.starts_with(b"/") && !once.windows(2).any(|pair| pair == b"//"));

            let escapes = once.split(|byte| *byte == b'%').skip(1);
            for escape in escapes {
                let byte = u8::from_str_radix(std::str::from_utf8(&escape[..2]).unwrap(), 16).unwrap();
                prop_assert!(!is_pchar(byte) && !escape[..2].iter().any(u8::is_ascii_lowercase));
            }

            prop_assert!(once.iter().all(|byte| is_pchar(*byte) || b"/%".contains(byte)));
        }

        #[test]
        fn encoding_what_needs_none_changes_nothing(path in "/[a-z.:;@/]{0,12}", at in any::<prop::sample::Index>()) {
            let byte = path.as_bytes()[at.index(path.len())];
            prop_assume!(byte != b'/');
            let encoded = path.replace(char::from(byte), &format!("%{byte:02x}"));
            prop_assert_eq!(normalize(encoded.as_bytes()), normalize(path.as_bytes()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = (normalize(&bytes), is_ambiguous(&bytes));
        }
    }
}
