//! Request paths: normalization, ambiguity, and templates such as `/v1/users/{id}`.

use std::borrow::Cow;

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

/// A path in which every byte has a single spelling. Bytes allowed in a segment (RFC 3986, section
/// 3.3, `pchar`) are not encoded; all others but `/` are, with upper-case digits (section 6.2.2.1).
/// An encoded slash stays encoded; a `%` that begins no escape is encoded.
///
/// Envoy forwards many bytes that must be encoded and are not: `"<>[\]^{|}` and the backquote, a
/// lone `%`, and over HTTP/2 every non-ASCII byte.
#[must_use]
pub fn respelled(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for (byte, is_encoded) in decoded(path) {
        if is_pchar(byte) || byte == b'/' && !is_encoded {
            out.push(byte);
        } else {
            out.extend_from_slice(&escaped(byte));
        }
    }
    out
}

/// The decoded bytes of a path, each with whether it was encoded.
fn decoded(path: &[u8]) -> impl Iterator<Item = (u8, bool)> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let (&first, tail) = rest.split_first()?;
        let byte = escape(rest);
        rest = if byte.is_some() {
            rest.get(3..).unwrap_or_default()
        } else {
            tail
        };

        Some((byte.unwrap_or(first), byte.is_some()))
    })
}

/// The byte encoded by a leading `%XX`.
pub(in crate::recorder) fn escape(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else {
        return None;
    };
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    Some(digit(high)? << 4 | digit(low)?)
}

/// The escape of a byte.
fn escaped(byte: u8) -> [u8; 3] {
    let digit = |half: u8| {
        if half < 10 {
            b'0' + half
        } else {
            b'A' - 10 + half
        }
    };
    [b'%', digit(byte >> 4), digit(byte & 0xf)]
}

/// RFC 3986, section 3.3: unreserved characters, sub-delims, `:` and `@`.
fn is_pchar(byte: u8) -> bool {
    PCHARS
        .get(usize::from(byte))
        .is_some_and(|is_pchar| *is_pchar)
}

/// A table: every path of every request is scanned, and one load costs less than comparisons.
const PCHARS: [bool; 256] = {
    let mut table = [false; 256];
    let (mut rest, mut byte) = (table.as_mut_slice(), 0_u8);
    while let Some((entry, tail)) = rest.split_first_mut() {
        *entry = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'..=b',' | b':' | b';' | b'=' | b'@'
            );
        byte = byte.wrapping_add(1);
        rest = tail;
    }
    table
};

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

/// A path with `{name}` segments, each of which matches one non-empty segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Variable,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// One sentence: it must start with `/`, and a brace may only enclose one whole segment.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let path = text.strip_prefix('/').ok_or(r#"must start with "/""#)?;
        let segments = path
            .split('/')
            .map(Segment::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            text: text.to_owned(),
            segments,
        })
    }

    /// The template as written; recorded as `http.route`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text before the first variable and after the last one; both are the whole text if there
    /// are none.
    pub(in crate::recorder) fn ends(&self) -> (&str, &str) {
        let start = self
            .text
            .split_once('{')
            .map_or(self.text.as_str(), |(start, _)| start);
        let end = self
            .text
            .rsplit_once('}')
            .map_or(self.text.as_str(), |(_, end)| end);
        (start, end)
    }

    /// An example path that matches.
    pub(in crate::recorder) fn example(&self) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Literal(text) => ["/", text].concat(),
            Segment::Variable => "/x".to_owned(),
        };
        self.segments.iter().map(segment).collect()
    }

    /// Whether every path that matches `other` matches this template too.
    pub(in crate::recorder) fn covers(&self, other: &Self) -> bool {
        self.segments.len() == other.segments.len()
            && self
                .segments
                .iter()
                .zip(&other.segments)
                .all(|(own, segment)| own.covers(segment))
    }

    /// Whether a normalized path matches.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        let Some(path) = path.strip_prefix(b"/") else {
            return false;
        };
        let mut parts = path.split(|byte| *byte == b'/');
        self.segments
            .iter()
            .all(|segment| parts.next().is_some_and(|part| segment.matches(part)))
            && parts.next().is_none()
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let name = text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) if !name.is_empty() && !name.contains(['{', '}']) => Ok(Self::Variable),
            None if !text.contains(['{', '}']) => Ok(Self::Literal(text.to_owned())),
            _ => Err("must enclose whole segments in braces, as in /users/{id}"),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Variable, Self::Variable) => true,
            (_, Self::Literal(text)) => self.matches(text.as_bytes()),
            (Self::Literal(_), Self::Variable) => false,
        }
    }

    fn matches(&self, part: &[u8]) -> bool {
        match self {
            Self::Literal(text) => text.as_bytes() == part,
            Self::Variable => !part.is_empty(),
        }
    }
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

    #[test]
    fn templates() {
        let template = Template::parse("/v1/users/{id}/password").unwrap();
        assert!(template.matches(b"/v1/users/42/password"));
        assert!(!template.matches(b"/v1/users//password"));
        assert!(!template.matches(b"/v1/users/42/password/"));
        assert!(!template.matches(b"/v1/users/42"));
        assert!(!template.matches(b"/v1/users/a/b/password"));
        for bad in ["users", "/a{b}", "/{}", "/{a}{b}", "/{a"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
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
