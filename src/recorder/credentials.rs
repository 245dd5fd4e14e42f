//! What a request shows of its sender's credentials: cookies and the scheme of `authorization`.

use super::headers::Headers;

/// What `authorization` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization<'h> {
    /// A bearer token (RFC 6750).
    Bearer(&'h [u8]),
    /// A user name and a password (RFC 7617), which nobody needs to see.
    Basic,
}

impl<'h> Authorization<'h> {
    /// Reads the first `authorization`; a scheme is case-insensitive (RFC 9110 section 11.1). `None` for other schemes.
    #[must_use]
    pub fn of(headers: &Headers<'h>) -> Option<Self> {
        let value = headers.first("authorization")?.trim_ascii();
        let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
        let (scheme, rest) = value.split_at_checked(end)?;
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return Some(Self::Bearer(rest.trim_ascii()));
        }
        scheme.eq_ignore_ascii_case(b"basic").then_some(Self::Basic)
    }
}

/// The value of the first cookie of this name (RFC 6265 section 5.4), without quotes around it. HTTP/2 may split the
/// header in several (RFC 9113 section 8.2.3).
#[must_use]
pub fn cookie<'h>(headers: &Headers<'h>, name: &str) -> Option<&'h [u8]> {
    let mut pairs = headers.all("cookie").flat_map(|value| value.split(|byte| *byte == b';'));
    pairs.find_map(|pair| value_of(pair, name))
}

/// The value that a response leaves in a cookie of this name: that of the last `set-cookie` (RFC 6265 section 5.3).
#[must_use]
pub fn set_cookie<'h>(headers: &Headers<'h>, name: &str) -> Option<&'h [u8]> {
    let pairs = headers.all("set-cookie").filter_map(|value| value.split(|byte| *byte == b';').next());
    pairs.filter_map(|pair| value_of(pair, name)).last()
}

fn value_of<'h>(pair: &'h [u8], name: &str) -> Option<&'h [u8]> {
    let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    Some(value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers<'a>(pairs: &[(&'a str, &'a str)]) -> Headers<'a> {
        pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect()
    }

    #[test]
    fn schemes_are_told_apart() {
        let of = |value| Authorization::of(&headers(&[("authorization", value)])).map(|found| format!("{found:?}"));
        let bearer = |token: &str| Some(format!("{:?}", Authorization::Bearer(token.as_bytes())));
        assert_eq!(of("Bearer abc.def"), bearer("abc.def"));
        assert_eq!(of("bearer   abc "), bearer("abc"));
        assert_eq!(of("BEARER"), bearer(""));
        assert_eq!(of("Basic dXNlcjpwdw=="), Some("Basic".to_owned()));
        assert_eq!(of("bAsIc"), Some("Basic".to_owned()));
        for other in ["Digest x", "Bearerx y", "", "xBasic y"] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(Authorization::of(&headers(&[])), None);
    }

    #[test]
    fn the_last_line_that_sets_a_cookie_counts() {
        let find = |value: &str| {
            let lines = [("set-cookie", "a=1"), ("set-cookie", "sid=old; Max-Age=0"), ("set-cookie", value)];
            let found = set_cookie(&headers(&lines), "sid")?;
            Some(String::from_utf8(found.to_vec()).unwrap())
        };
        assert_eq!(find("sid=x; Path=/; HttpOnly").as_deref(), Some("x"));
        assert_eq!(find("other=x; sid=y").as_deref(), Some("old"), "an attribute is no cookie");
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let find = |values: &[&str]| {
            let pairs: Vec<(&str, &str)> = values.iter().map(|value| ("cookie", *value)).collect();
            cookie(&headers(&pairs), "session").map(|value| String::from_utf8(value.to_vec()).unwrap())
        };
        for (values, expected) in [
            (&["session=a"][..], Some("a")),
            (&["x=1; session=a; session=b"], Some("a")),
            (&["x=1;session=a"], Some("a")),
            (&["x=1", "session=a"], Some("a")),
            (&["session = \"a b\" "], Some("a b")),
            (&["session=a=b=="], Some("a=b==")),
            (&["session=\""], Some("\"")),
            (&["session="], Some("")),
            (&["xsession=a; session2=b; Session=c"], None),
            (&["session"], None),
            (&["x=session=a"], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(find(values).as_deref(), expected, "{values:?}");
        }
    }
}
