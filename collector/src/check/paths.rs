//! Paths such as `rules[2].match.path` in problems of the parser.

use serde_json::Value;

/// The index at the start of a path, and the rest of the path.
pub(super) fn index(path: &str) -> Option<(usize, &str)> {
    let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, below(rest)))
}

/// The rest of a path that starts with this key, which may contain dots.
pub(super) fn after_key<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(key)?;
    let follows = rest.is_empty() || rest.starts_with(['.', '[']);
    follows.then(|| below(rest))
}

fn below(rest: &str) -> &str {
    rest.strip_prefix('.').unwrap_or(rest)
}

/// Removes the value at a path, if it exists.
pub(super) fn remove(value: &mut Value, path: &str) {
    match value {
        Value::Array(items) => match index(path) {
            Some((index, "")) if index < items.len() => drop(items.remove(index)),
            Some((index, rest)) => {
                if let Some(item) = items.get_mut(index) {
                    remove(item, rest);
                }
            }
            None => {}
        },
        Value::Object(map) => {
            let keys = map.keys().map(|key| (after_key(path, key), key));
            let found = keys.filter_map(|(rest, key)| Some((rest?, key.clone())));
            match found.min_by_key(|(rest, _)| rest.len()) {
                Some(("", key)) => drop(map.remove(&key)),
                Some((rest, key)) => {
                    if let Some(item) = map.get_mut(&key) {
                        remove(item, rest);
                    }
                }
                None => {}
            }
        }
        _ => {}
    }
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
