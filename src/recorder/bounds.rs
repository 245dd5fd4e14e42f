//! Bounds of recorded values: longer ones are cut.

/// Longest recorded path, in bytes; the rest is cut.
pub const MAX_PATH_BYTES: usize = 4096;
/// Longest recorded method, host, request id, user or other name, in bytes; the rest is cut. DNS
/// names have at most 253.
pub const MAX_NAME_BYTES: usize = 256;
/// Longest `user_agent.original`, in bytes; the rest is cut.
pub const MAX_USER_AGENT_BYTES: usize = 256;

/// The start of a value, at most `max_bytes`; cut at a UTF-8 character boundary.
pub(super) fn clipped(value: &[u8], max_bytes: usize) -> &[u8] {
    if value.len() <= max_bytes {
        return value;
    }

    let continues = |at: &usize| {
        value
            .get(*at)
            .is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000)
    };
    let boundary = (max_bytes.saturating_sub(3)..=max_bytes)
        .rev()
        .find(|at| !continues(at));

    value.get(..boundary.unwrap_or(max_bytes)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_between_characters() {
        for (value, max, expected) in [
            ("abc", 4, "abc"),
            ("abc", 3, "abc"),
            ("abc", 2, "ab"),
            ("a\u{f6}", 2, "a"),
            ("a\u{20ac}b", 3, "a"),
            ("a\u{20ac}b", 4, "a\u{20ac}"),
            ("\u{1f600}", 3, ""),
        ] {
            assert_eq!(
                clipped(value.as_bytes(), max),
                expected.as_bytes(),
                "{value} {max}"
            );
        }

        assert_eq!(
            clipped(&[0x80; 9], 5),
            [0x80; 5],
            "bytes that are no UTF-8 are cut anywhere"
        );
    }
}
