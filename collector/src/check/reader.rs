//! The program that reads a file: Envoy, Kubernetes and JSON differ in details.

use super::keys;

/// The program that reads a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// A manifest in YAML, or a plain configuration in it.
    Kubernetes,
    /// A configuration of Envoy in YAML.
    Envoy,
    /// The same of either in JSON.
    Json,
    /// A plain configuration in JSON: the filter reads it itself.
    Filter,
}

impl Reader {
    /// Of a document in YAML with these keys at its root.
    pub(super) fn of(keys: &[String]) -> Self {
        if keys.iter().any(|key| key == "kind") || is_plain(keys) {
            Self::Kubernetes
        } else {
            Self::Envoy
        }
    }

    /// Whether `<<` merges maps. Envoy takes it for a key.
    pub(super) fn merges(self) -> bool {
        self == Self::Kubernetes
    }

    /// Whether a repeated key is left to the parser of the filter, which names it.
    pub(super) fn takes_repeated_keys(self) -> bool {
        self == Self::Filter
    }
}

/// Whether a document with these keys at its root is a configuration alone.
pub(super) fn is_plain(keys: &[String]) -> bool {
    let has = |name: &str| keys.iter().any(|key| key == name);
    let is_own = keys
        .iter()
        .any(|key| keys::is_own(key) || keys::is_common(key));
    is_own && !has("kind") && !has("static_resources")
}
