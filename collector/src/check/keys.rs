//! Keys and addresses that identify the filter's configuration among those of other plugins.

/// Identifies the configuration alone.
const CLUSTER: &str = "auditcluster";

/// Two of these do, too.
const OWN: [&str; 8] = [
    "batch",
    "buffer",
    "correlation",
    "identity",
    "session",
    "stages",
    "tracking",
    "trust",
];

/// Keys of the filter that other plugins may have.
const COMMON: [&str; 2] = ["default", "rules"];

/// Names in the address of the filter's image or module.
const ADDRESSES: [&str; 2] = ["audit-filter", "audit_filter"];

/// Without case, `_` and `-`, so that `auditCluster` is found.
fn normal(key: &str) -> String {
    let letters = key.chars().filter(|letter| !matches!(letter, '_' | '-'));
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

/// A key that few other plugins have.
pub(super) fn is_own(key: &str) -> bool {
    let key = normal(key);
    key.starts_with(CLUSTER) || OWN.contains(&key.as_str())
}

/// A key that others may have, too.
pub(super) fn is_common(key: &str) -> bool {
    COMMON.contains(&normal(key).as_str())
}

/// Whether a configuration with these keys is the filter's.
pub(super) fn are_own<'k>(keys: impl Iterator<Item = &'k str> + Clone) -> bool {
    let has_cluster = keys.clone().any(|key| normal(key).starts_with(CLUSTER));
    has_cluster || keys.filter(|key| is_own(key)).count() > 1
}

/// Whether this is the address of the filter.
pub(super) fn is_own_address(address: &str) -> bool {
    ADDRESSES.iter().any(|name| address.contains(name))
}

/// Whether this is the address of the lean module: `lean` is a word of the last part.
pub(super) fn is_lean_address(address: &str) -> bool {
    let last = address.rsplit('/').next().unwrap_or_default();
    let mut words = last.split(|letter: char| !letter.is_ascii_alphanumeric());
    is_own_address(address) && words.any(|word| word == "lean")
}

/// The words before colons in a text that is damaged, or in YAML.
pub(super) fn of_text(text: &str) -> Vec<&str> {
    let is_end = |letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'));
    let last_word = |before: &'_ str| {
        let trimmed = before.trim_end_matches(['"', '\'', ' ']);
        trimmed.rfind(is_end).map_or(0, |at| at + 1)..trimmed.len()
    };
    text.match_indices(':')
        .filter_map(|(at, _)| text.get(last_word(text.get(..at)?)))
        .filter(|key| !key.is_empty())
        .collect()
}
