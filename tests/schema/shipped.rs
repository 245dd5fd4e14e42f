//! Each key of each shipped configuration has an effect. If it is misspelled or its value has
//! another type, the filter refuses the configuration and names the place; the JSON Schema refuses
//! it too.

use std::fs;
use std::path::{Path, PathBuf};

use audit_filter::config::{parse, schema::schema};
use serde_json::{Value, json};

/// Objects with user-defined keys.
const FREE: [&str; 3] = ["headers", "tags", "context"];

fn shipped() -> Vec<PathBuf> {
    let envoy = Path::new(env!("CARGO_MANIFEST_DIR")).join("envoy");
    let examples = fs::read_dir(envoy.join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    examples
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .chain([envoy.join("envoy.yaml")])
        .collect()
}

/// The configurations of the filter in a file.
fn configurations(node: &Value, found: &mut Vec<Value>) {
    let is_own = |value: &Value| value.get("audit_cluster").is_some();
    match node {
        Value::Object(map) => match map
            .get("configuration")
            .and_then(|configuration| configuration.get("value"))
        {
            Some(value) if is_own(value) => found.push(value.clone()),
            _ => map.values().for_each(|value| configurations(value, found)),
        },
        Value::Array(items) => items.iter().for_each(|item| configurations(item, found)),
        _ => {}
    }
}

fn problems(configuration: &Value) -> Vec<String> {
    let environment = |_: &str| Some("x".repeat(64));
    parse(configuration.to_string().as_bytes(), &environment)
        .err()
        .map_or_else(Vec::new, |error| error.problems)
}

/// A place in a configuration: its JSON pointer, and its path in problems.
struct Place {
    pointer: String,
    path: String,
    is_free: bool,
}

fn places(value: &Value, above: &Place, found: &mut Vec<Place>) {
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                let separator = if above.path.is_empty() { "" } else { "." };
                let last = above.path.rsplit('.').next().unwrap();
                let place = Place {
                    pointer: format!("{}/{key}", above.pointer),
                    path: format!("{}{separator}{key}", above.path),
                    is_free: FREE.contains(&last),
                };
                places(below, &place, found);
                found.push(place);
            }
        }
        Value::Array(items) => {
            for (index, below) in items.iter().enumerate() {
                let place = Place {
                    pointer: format!("{}/{index}", above.pointer),
                    path: format!("{}[{index}]", above.path),
                    is_free: true,
                };
                places(below, &place, found);
            }
        }
        _ => {}
    }
}

fn all_places(configuration: &Value) -> Vec<Place> {
    let root = Place {
        pointer: String::new(),
        path: String::new(),
        is_free: false,
    };
    let mut found = Vec::new();
    places(configuration, &root, &mut found);
    found
}

#[track_caller]
fn assert_named(changed: &Value, path: &str) {
    let problems = problems(changed);
    assert!(
        problems.iter().any(|problem| problem.starts_with(path)),
        "{path}: {problems:#?}"
    );
}

#[test]
fn every_key_of_every_shipped_configuration_counts() {
    let schema = jsonschema::validator_for(&schema()).unwrap();
    let mut count = 0;

    for file in shipped() {
        let whole: Value = serde_yaml_ng::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let mut found = Vec::new();
        configurations(&whole, &mut found);
        assert!(!found.is_empty(), "{}", file.display());

        for configuration in found {
            assert_eq!(problems(&configuration), [""; 0], "{}", file.display());
            assert!(schema.is_valid(&configuration), "{}", file.display());

            for Place {
                pointer,
                path,
                is_free,
            } in all_places(&configuration)
            {
                let (parent, key) = pointer.rsplit_once('/').unwrap();
                let mut other = configuration.clone();
                *other.pointer_mut(&pointer).unwrap() = json!([[{"no": "sense"}]]);
                assert_named(&other, &path);
                assert!(!schema.is_valid(&other), "{path}");

                let mut other = configuration.clone();
                let map = other.pointer_mut(parent).unwrap().as_object_mut().unwrap();
                let value = map.remove(key).unwrap();
                map.insert(format!("{key}_misspelled"), value);
                if !is_free {
                    assert_named(&other, &format!("{path}_misspelled: unknown key"));
                    assert!(!schema.is_valid(&other), "{path}_misspelled");
                }
                count += 1;
            }
        }
    }

    println!("{count} keys");
    assert!(count > 100, "{count} keys");
}
