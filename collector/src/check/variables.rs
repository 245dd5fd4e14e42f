//! Variables of the VM's environment, as far as a manifest gives them.

use std::collections::BTreeMap;

/// The variables that the configuration can use.
#[derive(Debug)]
pub(super) enum Variables {
    /// Any may be set: a plain configuration.
    Any,
    /// These alone. `None`: only the running proxy has the value.
    Given(BTreeMap<String, Option<String>>),
}

/// Stands for a value that only the running proxy has. Each name has one of its own, which is long
/// enough for a key, short enough for an id, and a name for a header or a rule.
fn placeholder(name: &str) -> String {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let name: String = name.chars().take(24).collect();
    format!("{name:-<24}known-to-the-proxy-alone")
}

impl Variables {
    /// The value of a variable, or a placeholder for an unknown one; `None`: it is not set.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        match self {
            Self::Any => Some(placeholder(name)),
            Self::Given(given) => {
                let value = given.get(name)?.clone();
                Some(value.unwrap_or_else(|| placeholder(name)))
            }
        }
    }

    /// The first variable in a text with a value that only the running proxy has.
    pub(super) fn first_unknown<'t>(&self, text: &'t str) -> Option<&'t str> {
        let names = text
            .split("${")
            .skip(1)
            .filter_map(|rest| rest.split_once('}').map(|(name, _)| name));
        let is_unknown = |name: &str| match self {
            Self::Any => true,
            Self::Given(given) => given.get(name).is_some_and(Option::is_none),
        };
        names.into_iter().find(|name| is_unknown(name))
    }
}
