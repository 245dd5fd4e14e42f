//! The keys of the journal. They come from the VM's environment only: a configuration is visible to
//! more people.

use super::decode::Environment;
use super::problems::Problems;
use crate::pipeline::journal::Key;

/// Keys separated by commas: the first makes tags, the others are its predecessors.
const VARIABLE: &str = "AUDIT_FILTER_JOURNAL_KEY";

/// A random key of 256 bits has at least this many bytes in any encoding.
const LEAST_BYTES: usize = 32;

/// The keys; none when there is no such variable.
pub(super) fn keys(environment: Environment<'_>, problems: &Problems) -> Vec<Key> {
    let Some(text) = environment(VARIABLE) else {
        return Vec::new();
    };

    let keys = text.split(',').map(str::trim);
    if keys.clone().any(|key| key.len() < LEAST_BYTES) {
        problems.add(
            || VARIABLE.to_owned(),
            &format!("must be keys of at least {LEAST_BYTES} bytes, separated by commas"),
        );
    }

    keys.map(|key| Key::of_secret(key.as_bytes())).collect()
}
