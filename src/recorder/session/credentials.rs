//! Credentials in a request: cookies and `authorization`.

use crate::recorder::headers::Headers;
use crate::recorder::headers::values::Values;

/// Whether an `authorization` field has a user name and a password (RFC 7617). They must not be
/// recorded.
#[must_use]
pub fn is_basic(headers: &Headers<'_>) -> bool {
    headers
        .all("authorization")
        .any(|value| of_scheme(value, b"basic").is_some())
}

/// The bearer tokens (RFC 6750). Envoy joins several `authorization` fields with commas; a token
/// contains none (section 2.1).
#[must_use]
pub(in crate::recorder) fn bearer<'h>(headers: &Headers<'h>) -> Values<&'h [u8]> {
    let credentials = headers
        .all("authorization")
        .flat_map(|value| value.split(|byte| *byte == b','));
    credentials
        .filter_map(|value| of_scheme(value, b"bearer"))
        .filter(|token| !token.is_empty())
        .collect()
}

/// The text after the scheme, which is case-insensitive (RFC 9110 section 11.1); `None` for another
/// scheme.
fn of_scheme<'h>(credentials: &'h [u8], scheme: &[u8]) -> Option<&'h [u8]> {
    let (start, rest) = credentials
        .trim_ascii_start()
        .split_at_checked(scheme.len())?;
    let ends = rest.first().is_none_or(u8::is_ascii_whitespace);
    (ends && start.eq_ignore_ascii_case(scheme)).then(|| rest.trim_ascii())
}

/// The values of the cookies with this name, without quotes. A client sends several for different
/// paths or domains (RFC 6265 section 5.4). HTTP/2 may split the header into several (RFC 9113
/// section 8.2.3).
#[must_use]
pub(in crate::recorder) fn cookies<'h>(headers: &Headers<'h>, name: &str) -> Values<&'h [u8]> {
    let pairs = headers
        .all("cookie")
        .flat_map(|value| value.split(|byte| *byte == b';'));
    pairs
        .filter_map(|pair| value_of(pair, name))
        .filter(|value| !value.is_empty())
        .collect()
}

/// The values that a response sets for this cookie. Of several `set-cookie` the last wins (RFC 6265
/// section 5.3). A `set-cookie` that deletes the cookie is skipped.
#[must_use]
pub(in crate::recorder) fn set_cookies<'h>(headers: &Headers<'h>, name: &str) -> Values<&'h [u8]> {
    let value = |line: &'h [u8]| {
        let mut parts = line.split(|byte| *byte == b';');
        let value = value_of(parts.next()?, name)?;
        (!value.is_empty() && !parts.any(is_over)).then_some(value)
    };
    headers.all("set-cookie").filter_map(value).collect()
}

/// Whether an attribute deletes a cookie: `Max-Age` of zero or less (RFC 6265 section 5.2.2).
fn is_over(attribute: &[u8]) -> bool {
    let mut words = attribute
        .splitn(2, |byte| *byte == b'=')
        .map(<[u8]>::trim_ascii);
    let is_age = words
        .next()
        .is_some_and(|name| name.eq_ignore_ascii_case(b"max-age"));

    is_age
        && words.next().is_some_and(|age| {
            age.starts_with(b"-") || !age.is_empty() && age.iter().all(|digit| *digit == b'0')
        })
}

fn value_of<'h>(pair: &'h [u8], name: &str) -> Option<&'h [u8]> {
    let value = pair
        .trim_ascii()
        .strip_prefix(name.as_bytes())?
        .trim_ascii_start()
        .strip_prefix(b"=")?
        .trim_ascii();
    let content = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));

    Some(content.map_or(value, <[u8]>::trim_ascii))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers<'a>(pairs: &[(&'a str, &'a str)]) -> Headers<'a> {
        pairs
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect()
    }

    fn texts(values: Values<&[u8]>) -> (Option<&str>, bool) {
        (
            values.last.map(|value| str::from_utf8(value).unwrap()),
            values.disagree,
        )
    }

    #[test]
    fn bearer_tokens_are_found_by_their_scheme() {
        for (value, expected, conflict) in [
            ("Bearer abc.def", Some("abc.def"), false),
            ("bearer   abc ", Some("abc"), false),
            ("Bearer a,Bearer b", Some("b"), true),
            ("Bearer a, bearer a", Some("a"), false),
            ("Bearer a,Bearer ", Some("a"), false),
            ("Bearer a,Basic dXNlcjpwdw==", Some("a"), false),
            ("Basic dXNlcjpwdw==,Bearer a", Some("a"), false),
            ("Digest username=\"u\", realm=\"r\"", None, false),
            ("BEARER", None, false),
            ("Bearerx y", None, false),
            ("xBearer y", None, false),
            ("", None, false),
        ] {
            let headers = headers(&[("authorization", value)]);
            assert_eq!(texts(bearer(&headers)), (expected, conflict), "{value}");
        }

        let fields = headers(&[
            ("authorization", "Bearer a"),
            ("authorization", "Bearer b"),
            ("authorization", ""),
        ]);

        assert_eq!(texts(bearer(&fields)), (Some("b"), true));
        assert_eq!(texts(bearer(&headers(&[]))), (None, false));
    }

    #[test]
    fn basic_credentials_are_found_by_their_scheme() {
        for value in ["Basic dXNlcjpwdw==", "bAsIc", " basic\tx"] {
            assert!(
                is_basic(&headers(&[
                    ("authorization", "Bearer a"),
                    ("authorization", value)
                ])),
                "{value}"
            );
        }

        for value in ["Digest x", "Basicx y", "", "xBasic y", "Bearer basic"] {
            assert!(!is_basic(&headers(&[("authorization", value)])), "{value}");
        }
    }

    #[test]
    fn the_last_line_that_sets_a_cookie_counts() {
        for (last, expected, conflict) in [
            ("sid=x; Path=/; HttpOnly", "x", true),
            ("sid=first; Path=/", "first", false),
            ("other=x; sid=y", "first", false),
            ("sid=", "first", false),
            ("sid=deleted; Max-Age=0", "first", false),
            ("sid=deleted; Path=/; max-age = -1", "first", false),
            ("sid=deleted;MAX-AGE=00", "first", false),
            ("sid=x; Max-Age=10; Max-Age", "x", true),
            ("sid=x; Max-Age=", "x", true),
            ("sid=x; xMax-Age=0", "x", true),
        ] {
            let lines = headers(&[
                ("set-cookie", "a=1"),
                ("set-cookie", "sid=first; Max-Age=60"),
                ("set-cookie", last),
            ]);

            assert_eq!(
                texts(set_cookies(&lines, "sid")),
                (Some(expected), conflict),
                "{last}"
            );
        }

        let lines = headers(&[
            ("set-cookie", "sid=deleted; Max-Age=0"),
            ("set-cookie", "sid=new"),
        ]);

        assert_eq!(texts(set_cookies(&lines, "sid")), (Some("new"), false));
        assert_eq!(
            texts(set_cookies(
                &headers(&[("set-cookie", "sid=deleted; Max-Age=0")]),
                "sid"
            )),
            (None, false)
        );
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        for (values, expected, conflict) in [
            (&["session=a"][..], Some("a"), false),
            (&["x=1; session=a; session=b"], Some("b"), true),
            (&["session=a; session=a"], Some("a"), false),
            (&["session=a; session=\"a\""], Some("a"), false),
            (&["session=a", "session=b"], Some("b"), true),
            (&["session=a; session="], Some("a"), false),
            (&["session=; session=a"], Some("a"), false),
            (&["x=1;session=a"], Some("a"), false),
            (&["x=1", "session=a"], Some("a"), false),
            (&["session = \"a b\" "], Some("a b"), false),
            (&["session=a=b=="], Some("a=b=="), false),
            (&["session=\""], Some("\""), false),
            (&["session="], None, false),
            (&["session=\" \""], None, false),
            (&["xsession=a; session2=b; Session=c"], None, false),
            (&["session"], None, false),
            (&["x=session=a"], None, false),
            (&[""], None, false),
            (&[], None, false),
        ] {
            let pairs: Vec<(&str, &str)> = values.iter().map(|value| ("cookie", *value)).collect();
            assert_eq!(
                texts(cookies(&headers(&pairs), "session")),
                (expected, conflict),
                "{values:?}"
            );
        }
    }
}
