//! The values that a shape leaves open: one line each, in the order of the attributes.
//!
//! A line is JSON. `[12]` stands for the text with the id 12, and `[]` for the uid of the row. A value
//! that looks like one of these is always a text.

/// A line of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'v> {
    /// The id of a text of the segment.
    Text(i64),
    /// The uid of the row, as a JSON string.
    Uid,
    /// The value itself.
    Inline(&'v str),
}

/// Stands for the uid of the row.
pub(super) const UID: &str = "[]";

/// Ends all lines but the last.
pub(super) const END: char = '\n';

/// Stands for a text.
pub(super) fn reference(id: i64) -> String {
    format!("[{id}]")
}

/// Reads a line.
pub(super) fn read(line: &str) -> Line<'_> {
    if line == UID {
        return Line::Uid;
    }
    referenced(line).map_or(Line::Inline(line), Line::Text)
}

/// Whether a value would be read as something else than itself.
pub(super) fn is_ambiguous(value: &str) -> bool {
    !matches!(read(value), Line::Inline(_))
}

fn referenced(line: &str) -> Option<i64> {
    let id = line.strip_prefix('[')?.strip_suffix(']')?;
    id.parse().ok()
}

/// The lines; without any, there is no value.
pub(super) fn lines(values: &str) -> impl Iterator<Item = &str> {
    values.split_terminator(END)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_reference_the_uid_or_a_value() {
        assert_eq!(read(&reference(12)), Line::Text(12));
        assert_eq!(read("[]"), Line::Uid);
        for value in [
            "12", "[\"a\"]", "[1,2]", "[1.5]", "[[1]]", "\"[1]\"", "null",
        ] {
            assert_eq!(read(value), Line::Inline(value));
            assert!(!is_ambiguous(value), "{value}");
        }
        assert!(is_ambiguous("[-1]") && is_ambiguous("[]"));
    }

    #[test]
    fn no_line_is_no_value() {
        assert_eq!(lines("").count(), 0);
        assert_eq!(lines("1\n[]").collect::<Vec<_>>(), ["1", "[]"]);
    }
}
