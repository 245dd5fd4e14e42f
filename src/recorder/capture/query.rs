//! The values of one query parameter, decoded like a form.

use crate::recorder::bounds::clipped;
use crate::recorder::uri::escapes::escape;

/// Longest captured value of one parameter, in bytes; the rest is cut at a character boundary.
pub const MAX_CAPTURED_BYTES: usize = 256;

/// The query of a `:path`: the text after the first `?`, without a fragment. `None` without a `?`.
#[must_use]
pub fn of_path(path: &[u8]) -> Option<&[u8]> {
    let at = path.iter().position(|byte| matches!(byte, b'?' | b'#'))?;
    let query = path.get(at..)?.strip_prefix(b"?")?;
    query.split(|byte| *byte == b'#').next()
}

/// All values of the parameter `name`, decoded and joined with `, `; at most
/// [`MAX_CAPTURED_BYTES`].
///
/// Decoded as `application/x-www-form-urlencoded` (URL standard), names included: `+` is a space,
/// `%XX` a byte, any other `%` is literal. `None` if the name does not occur; without `=` the value
/// is empty. The bytes need not be UTF-8.
#[must_use]
pub fn values(query: &[u8], name: &str) -> Option<Vec<u8>> {
    // One byte beyond the limit shows whether a character ends at it.
    const ENOUGH: usize = MAX_CAPTURED_BYTES + 1;

    let mut out = None;
    for pair in query.split(|byte| *byte == b'&') {
        let Some(value) = value_of(pair, name) else {
            continue;
        };
        let Some(text) = &mut out else {
            out = Some(decoded(value, ENOUGH));
            continue;
        };

        if text.len() >= ENOUGH {
            break;
        }

        text.extend_from_slice(b", ");
        text.extend_from_slice(&decoded(value, ENOUGH.saturating_sub(text.len())));
    }

    out.map(|text| clipped(&text, MAX_CAPTURED_BYTES).to_vec())
}

/// The encoded value of a pair with this name. An empty pair has no name, not an empty one.
fn value_of<'q>(pair: &'q [u8], name: &str) -> Option<&'q [u8]> {
    let end = pair
        .iter()
        .position(|byte| *byte == b'=')
        .unwrap_or(pair.len());
    let (found, value) = pair.split_at_checked(end)?;
    let is_named = !pair.is_empty() && decoded(found, name.len() + 1) == name.as_bytes();
    is_named.then(|| value.get(1..).unwrap_or_default())
}

/// The decoded bytes of a name or value, up to a limit.
fn decoded(mut raw: &[u8], max_bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len().min(max_bytes));
    while out.len() < max_bytes
        && let Some((&byte, tail)) = raw.split_first()
    {
        let escaped = escape(raw);
        raw = if escaped.is_some() {
            raw.get(3..).unwrap_or_default()
        } else {
            tail
        };

        out.push(escaped.unwrap_or(if byte == b'+' { b' ' } else { byte }));
    }

    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(query: &str, expected: Option<&str>) {
        let found = values(query.as_bytes(), "user id");
        assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{query}");
    }

    #[test]
    fn the_query_of_a_path() {
        for (path, expected) in [
            ("/a?b=c", Some("b=c")),
            ("/a?b=c?d#e", Some("b=c?d")),
            ("/a?", Some("")),
            ("/a?#b", Some("")),
            ("/a", None),
            ("/a#b?c", None),
            ("", None),
        ] {
            assert_eq!(
                of_path(path.as_bytes()),
                expected.map(str::as_bytes),
                "{path}"
            );
        }
    }

    #[test]
    fn names_and_values_are_decoded() {
        check("user+id=a", Some("a"));
        check("user%20id=a%2Bb+c", Some("a+b c"));
        check("x=1&%75ser+id=%e2%82%ac&y=2", Some("\u{20ac}"));
        check("user+id=a=b", Some("a=b"));
        check("user id=%26%3d", Some("&="));
    }

    #[test]
    fn a_name_must_be_the_whole_name() {
        check("", None);
        check("user=a&id=b", None);
        check("user+id+=a", None);
        check("User+Id=a", None);
        check("x=user+id", None);
        check("user+id%3Da", None);
    }

    #[test]
    fn every_value_counts_also_an_empty_one() {
        check("user+id", Some(""));
        check("user+id=", Some(""));
        check("user+id=a&x=y&user+id=b", Some("a, b"));
        check("user+id&&user+id=a&user+id=", Some(", a, "));
    }

    #[test]
    fn bad_percent_sequences_stay() {
        check("user+id=100%", Some("100%"));
        check("user+id=%2", Some("%2"));
        check("user+id=%zz%%41", Some("%zz%A"));
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let long = format!("user+id={}%e2%82%ac", "a".repeat(MAX_CAPTURED_BYTES - 2));
        check(&long, Some(&"a".repeat(MAX_CAPTURED_BYTES - 2)));

        let fitting = format!("user+id={}%e2%82%ac", "a".repeat(MAX_CAPTURED_BYTES - 3));
        check(
            &fitting,
            Some(&format!("{}\u{20ac}", "a".repeat(MAX_CAPTURED_BYTES - 3))),
        );
        check(
            &"user+id=&".repeat(100_000),
            Some(&", ".repeat(MAX_CAPTURED_BYTES / 2)),
        );
    }

    /// Text biased towards escapes and separators.
    fn query() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            4 => prop::sample::select(vec!["a", "b", "=", "&", "+", "%", "%61", "%C3%B6", "%ff", "%2", ";", "%26"]).prop_map(|text| text.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..3),
        ];
        prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn a_form_reader_sees_the_same(query in query(), name in "[ab%]{0,2}") {
            let expected: Vec<_> =
                form_urlencoded::parse(&query).filter(|(found, _)| *found == name).map(|(_, value)| value).collect();
            let found = values(&query, &name);
            prop_assert_eq!(found.is_some(), !expected.is_empty());
            let found = String::from_utf8_lossy(&found.unwrap_or_default()).into_owned();
            prop_assert_eq!(found, expected.join(", "));
        }

        #[test]
        fn no_bytes_make_it_panic_or_exceed_its_bound(query in prop::collection::vec(any::<u8>(), 0..900), name in ".{0,2}") {
            let _ = values(&query, &name);
            let long = [name.as_bytes(), b"=", &query].concat();
            prop_assert!(values(&long, &name).is_none_or(|value| value.len() <= MAX_CAPTURED_BYTES));
            let _ = of_path(&query);
        }
    }
}
