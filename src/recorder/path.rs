//! Request paths: one normal form for matching, and templates such as `/v1/users/{id}`.

use std::borrow::Cow;

/// The path of a request target in normal form: no query, no fragment, percent-encoded unreserved characters
/// decoded (RFC 3986 section 2.3), `//` merged, `.` and `..` resolved (section 5.2.4).
///
/// A target that does not start with `/` (`*`, authority form) only loses its query.
#[must_use]
pub fn normalize(target: &[u8]) -> Cow<'_, [u8]> {
    if let Some(end) = normal_end(target) {
        return Cow::Borrowed(target.get(..end).unwrap_or(target));
    }
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(target.len());
    let path = target.get(..end).unwrap_or(target);
    if path.first() != Some(&b'/') {
        return Cow::Borrowed(path);
    }
    Cow::Owned(resolve(&decode_unreserved(path)))
}

/// Where the path of a target ends, in one pass. `None` when [`normalize`] may have to change the path; nearly all stay.
fn normal_end(target: &[u8]) -> Option<usize> {
    let mut before = 0;
    for (at, &byte) in target.iter().enumerate() {
        match byte {
            b'@'.. => {}
            b'?' | b'#' => return Some(at),
            b'%' => return None,
            b'/' | b'.' if before == b'/' => return None,
            _ => {}
        }
        before = byte;
    }
    Some(target.len())
}

fn decode_unreserved(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        match escape(rest).filter(|decoded| is_unreserved(*decoded)) {
            Some(decoded) => {
                out.push(decoded);
                rest = rest.get(3..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    out
}

/// The byte that a leading `%XX` stands for.
pub(super) fn escape(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn resolve(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut ends_in_slash = false;
    for segment in path.split(|byte| *byte == b'/') {
        ends_in_slash = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let mut out = Vec::with_capacity(path.len());
    for segment in &kept {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    if ends_in_slash || kept.is_empty() {
        out.push(b'/');
    }
    out
}

/// A path with `{name}` segments, each of which stands for one segment that is not empty.
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
    /// Reads a template.
    ///
    /// # Errors
    /// One sentence: it must start with `/`, and a brace may only enclose one whole segment.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let path = text.strip_prefix('/').ok_or(r#"must start with "/""#)?;
        let segments = path.split('/').map(Segment::parse).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), segments })
    }

    /// The template as written; recorded as `http.route`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the first variable, and what behind the last one; twice the whole where there is none.
    pub(super) fn ends(&self) -> (&str, &str) {
        let start = self.text.split_once('{').map_or(self.text.as_str(), |(start, _)| start);
        let end = self.text.rsplit_once('}').map_or(self.text.as_str(), |(_, end)| end);
        (start, end)
    }

    /// Whether a normalized path has this form.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        let Some(path) = path.strip_prefix(b"/") else { return false };
        let mut parts = path.split(|byte| *byte == b'/');
        self.segments.iter().all(|segment| parts.next().is_some_and(|part| segment.matches(part)))
            && parts.next().is_none()
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let name = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) if !name.is_empty() && !name.contains(['{', '}']) => Ok(Self::Variable),
            None if !text.contains(['{', '}']) => Ok(Self::Literal(text.to_owned())),
            _ => Err("must enclose whole segments in braces, as in /users/{id}"),
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
        assert_eq!(String::from_utf8_lossy(&normalize(target.as_bytes())), expected, "{target}");
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
        check("/a%2Fb", "/a%2Fb");
        check("/a%2", "/a%2");
        check("/%", "/%");
        check("/.hidden", "/.hidden");
        check("/a/b/..", "/a/");
        check("/", "/");
        check("*", "*");
        check("", "");
        check("?x", "");
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

    proptest! {
        #[test]
        fn the_short_way_ends_where_the_long_one_does(target in "/?([a-z@]{0,3}[/.%?#~-]{0,2}){0,6}") {
            let path = target.split(['?', '#']).next().unwrap().as_bytes();
            let expected = if path.starts_with(b"/") { resolve(&decode_unreserved(path)) } else { path.to_vec() };
            prop_assert_eq!(normalize(target.as_bytes()).into_owned(), expected);
        }

        #[test]
        fn normalizing_is_idempotent_and_leaves_no_dots(segments in prop::collection::vec(r"(\.|\.\.|%2e|%2E%2e|[a-z%]{0,3}|%41|%2F)", 0..8)) {
            prop_assume!(segments.iter().all(|s| !s.ends_with('%') && !s.contains("%%")));
            let target = format!("/{}", segments.join("/"));
            let once = normalize(target.as_bytes()).into_owned();
            prop_assert_eq!(normalize(&once).into_owned(), once.clone());
            let clean = once.split(|b| *b == b'/').all(|s| s != b"." && s != b"..");
            prop_assert!(clean && !once.windows(2).any(|pair| pair == b"//"));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = normalize(&bytes);
        }
    }
}
