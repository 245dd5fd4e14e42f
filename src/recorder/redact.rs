//! Names whose values must not be recorded.

/// What is recorded in place of a value whose name looks secret.
pub const REDACTED: &str = "[REDACTED]";

/// Whether the name of a header, query parameter, cookie or context field looks as if its value were a secret.
#[must_use]
pub fn looks_secret(name: &str) -> bool {
    name.eq_ignore_ascii_case("authorization")
}
