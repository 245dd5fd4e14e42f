//! Paths such as `rules[2].match.path` in JSON.

use serde_json::Value;

/// Removes the value at a path, if it exists.
pub(super) fn remove(value: &mut Value, path: &str) {
    match value {
        Value::Array(items) => {
            let step = path.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            let Some((Ok(index), rest)) = step.map(|(index, rest)| (index.parse::<usize>(), rest))
            else {
                return;
            };
            if rest.is_empty() && index < items.len() {
                items.remove(index);
            } else if let Some(item) = items.get_mut(index) {
                remove(item, below(rest));
            }
        }
        Value::Object(map) => {
            let follows = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
            let key = map
                .keys()
                .filter(|key| path.strip_prefix(key.as_str()).is_some_and(follows))
                .max_by_key(|key| key.len());
            let Some(key) = key.cloned() else { return };
            let rest = path.strip_prefix(key.as_str()).unwrap_or_default();
            if rest.is_empty() {
                map.remove(&key);
            } else if let Some(item) = map.get_mut(&key) {
                remove(item, below(rest));
            }
        }
        _ => {}
    }
}

fn below(rest: &str) -> &str {
    rest.strip_prefix('.').unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_value_at_the_path_is_removed() {
        for (path, expected) in [
            ("a.b", json!({"a": {"c": [1, {"d": 2}]}, "e.f": 3})),
            ("a.c[0]", json!({"a": {"b": 0, "c": [{"d": 2}]}, "e.f": 3})),
            ("a.c[1].d", json!({"a": {"b": 0, "c": [1, {}]}, "e.f": 3})),
            ("e.f", json!({"a": {"b": 0, "c": [1, {"d": 2}]}})),
            ("a.x", json!({"a": {"b": 0, "c": [1, {"d": 2}]}, "e.f": 3})),
        ] {
            let mut value = json!({"a": {"b": 0, "c": [1, {"d": 2}]}, "e.f": 3});
            remove(&mut value, path);
            assert_eq!(value, expected, "{path}");
        }
    }
}
