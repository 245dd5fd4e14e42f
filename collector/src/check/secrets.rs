//! Hides what may be secret in a configuration that is shown.

use audit_filter::recorder::redact::looks_secret;
use serde_json::{Map, Value, json};

/// Schemes of credentials.
const SCHEMES: [&str; 6] = ["ApiKey", "Basic", "Bearer", "Digest", "Splunk", "Token"];

/// Stands for a hidden text.
const HIDDEN: &str = "(hidden)";

/// Hides values of headers, keys of references, the query of the path, and values of conditions and
/// tags with a name that looks secret.
pub(super) fn hide(whole: &mut Value) {
    let headers = whole.pointer_mut("/audit_cluster/headers");
    hide_all(headers.and_then(Value::as_object_mut), |_| true);
    let keys = whole.pointer_mut("/session/hmac_keys");
    for key in keys.and_then(Value::as_array_mut).into_iter().flatten() {
        hide_all(key.as_object_mut(), |name| name == "key");
    }
    if let Some(path) = whole.pointer_mut("/audit_cluster/path") {
        hide_query(path);
    }

    let rules = whole.get_mut("rules").and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten() {
        let tags = rule.get_mut("tags").and_then(Value::as_object_mut);
        hide_all(tags, looks_secret);
        let conditions = rule
            .pointer_mut("/match/headers")
            .and_then(Value::as_array_mut);
        for condition in conditions.into_iter().flatten() {
            let name = condition
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if looks_secret(name) {
                hide_all(condition.as_object_mut(), |key| key != "name");
            }
        }
    }
}

fn hide_all(object: Option<&mut Map<String, Value>>, is_secret: impl Fn(&str) -> bool) {
    let entries = object.into_iter().flatten();
    for (_, value) in entries.filter(|(name, _)| is_secret(name)) {
        if let Some(text) = value.as_str() {
            *value = json!(hidden(text));
        }
    }
}

fn hide_query(path: &mut Value) {
    if let Some((start, _)) = path.as_str().and_then(|text| text.split_once('?')) {
        *path = json!([start, "?", HIDDEN].concat());
    }
}

/// The text with all but its variables hidden, and but the scheme before a variable: `Bearer ${T}`.
fn hidden(text: &str) -> String {
    let (before, variable) = text.split_once("${").unwrap_or((text, ""));
    let is_scheme = |word: &str| {
        SCHEMES
            .iter()
            .any(|scheme| scheme.eq_ignore_ascii_case(word))
    };
    let starts_well = before.is_empty() || before.strip_suffix(' ').is_some_and(is_scheme);
    let has_variables_alone = variable.split("${").all(|part| {
        part.split_once('}')
            .is_some_and(|(_, rest)| rest.is_empty())
    });

    if starts_well && has_variables_alone {
        text.to_owned()
    } else {
        HIDDEN.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_and_schemes_stay() {
        for shown in ["${A}", "Bearer ${A}", "${A}${B}", "Basic ${A}${B}"] {
            assert_eq!(hidden(shown), shown);
        }
        for secret in [
            "",
            "secret",
            "Bearer secret",
            "Splunk secret${A}",
            "${A}secret",
            "a b ${A}",
            "hunter ${A}",
            "s3cret ${A}",
        ] {
            assert_eq!(hidden(secret), HIDDEN, "{secret}");
        }
    }
}
