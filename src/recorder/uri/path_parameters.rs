//! Secrets in a path: values of parameters such as `;jsessionid=`, which servlet containers add for
//! clients without cookies.

use std::borrow::Cow;

use super::bytes;
use crate::recorder::bounds::MAX_PATH_BYTES;
use crate::recorder::capture::redact::{REDACTED, looks_secret};

/// Longest parameter name, in bytes, that is checked by its words; a longer one counts as secret.
/// Bounds the work that a client can cause.
const MAX_NAME_BYTES: usize = 64;

/// The path with the value of every secret-looking parameter replaced by [`REDACTED`].
///
/// A parameter is `name=value` at the start of a segment or after `;`, `,` or `&` (RFC 3986,
/// section 3.3, leaves the separators to the application). A secret value ends with the segment or
/// at the next `;`. At most [`MAX_PATH_BYTES`] are returned.
#[must_use]
pub(in crate::recorder) fn redacted(path: &[u8]) -> Cow<'_, [u8]> {
    // Without a value there cannot be a secret.
    if bytes::has(path, b'=') {
        Cow::Owned(without_secrets(path))
    } else {
        Cow::Borrowed(path)
    }
}

#[cold]
#[inline(never)]
fn without_secrets(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len().min(MAX_PATH_BYTES));
    let (mut name_start, mut is_hidden) = (0, false);
    for &byte in path {
        let ends_value = matches!(byte, b'/' | b';');
        is_hidden &= !ends_value;
        if is_hidden || out.len() >= MAX_PATH_BYTES {
            continue;
        }

        is_hidden = byte == b'=' && out.get(name_start..).is_some_and(is_secret);
        out.push(byte);
        if ends_value || matches!(byte, b',' | b'&') {
            name_start = out.len();
        }

        if is_hidden {
            out.extend_from_slice(REDACTED.as_bytes());
        }
    }

    out
}

fn is_secret(name: &[u8]) -> bool {
    name.len() > MAX_NAME_BYTES || looks_secret(&String::from_utf8_lossy(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        assert_eq!(
            String::from_utf8_lossy(&redacted(path.as_bytes())),
            expected,
            "{path}"
        );
    }

    #[test]
    fn values_of_secrets_are_replaced() {
        check("/a;jsessionid=1F2E.node1", "/a;jsessionid=[REDACTED]");
        check("/a;JSESSIONID=1F2E/b", "/a;JSESSIONID=[REDACTED]/b");
        check(
            "/a;v=1;sid=x;w=2/b;token=y",
            "/a;v=1;sid=[REDACTED];w=2/b;token=[REDACTED]",
        );
        check("/;jsessionid=x", "/;jsessionid=[REDACTED]");
        check("/a;token=x,y&z=w/b", "/a;token=[REDACTED]/b");
        check("/a;v=1,token=x/b", "/a;v=1,token=[REDACTED]/b");
        check("/a;v=1&token=x", "/a;v=1&token=[REDACTED]");
        check("/a;v=token=x", "/a;v=token=[REDACTED]");
        check("/a;token=eA==/b", "/a;token=[REDACTED]/b");
        check("/a;token=", "/a;token=[REDACTED]");
        check("/token=x/b", "/token=[REDACTED]/b");
        check("/a;a.b.session=x", "/a;a.b.session=[REDACTED]");
    }

    #[test]
    fn everything_else_stays() {
        for path in [
            "/a",
            "",
            "*",
            "/a;v=1",
            "/a;jsessionid",
            "/a;page=2,sort=name/b&c=d",
            "/token/x",
            "/a;=x",
            "/date=2024",
        ] {
            check(path, path);
            assert_eq!(
                matches!(redacted(path.as_bytes()), Cow::Borrowed(_)),
                !path.contains('='),
                "{path}"
            );
        }
    }

    #[test]
    fn a_long_name_counts_as_secret() {
        let name = "a".repeat(MAX_NAME_BYTES);
        check(&format!("/x;{name}=v"), &format!("/x;{name}=v"));
        check(&format!("/x;{name}a=v"), &format!("/x;{name}a=[REDACTED]"));
    }

    #[test]
    fn no_more_is_made_than_is_recorded() {
        let path = ["/", &"a=b;".repeat(10_000)].concat();
        let found = redacted(path.as_bytes());
        assert_eq!(*found, path.as_bytes()[..MAX_PATH_BYTES]);
        let path = ["/", &"a".repeat(MAX_PATH_BYTES), ";token=secret"].concat();
        assert!(!String::from_utf8_lossy(&redacted(path.as_bytes())).contains("secret"));
    }

    proptest! {
        #[test]
        fn no_value_of_a_secret_is_left(
            before in "(/[a-z]{0,3}(;[a-e]{1,2}=[0-9]{0,3})?){0,3}", name in prop::sample::select(vec!["jsessionid", "sid", "access_token", "PHPSESSID"]),
            value in "[A-Z0-9=,&.]{1,12}", after in "([/;][a-z]{0,3}){0,2}"
        ) {
            let path = format!("{before}/x;{name}={value}{after}");
            let expected = format!("{before}/x;{name}=[REDACTED]{after}");
            prop_assert_eq!(String::from_utf8_lossy(&redacted(path.as_bytes())).into_owned(), expected);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop_oneof![Just(b';'), Just(b'='), any::<u8>()], 0..60)) {
            let _ = redacted(&bytes);
        }
    }
}
