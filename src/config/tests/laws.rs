//! Random configurations never make the parser panic.

use super::*;

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[-+a-z0-9/*:.{}$%? \n\u{e4}]{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "2xx",
            "${AUDIT_TOKEN}",
            "*.",
            "1e9s",
            "0.5s",
            "/{",
            "%2e",
            "::/0"
        ])
        .prop_map(Value::from),
    ];

    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec(("[a-z_]{1,12}", inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// All places inside a value, as JSON pointers.
fn pointers(root: &Value, path: &str) -> Vec<String> {
    let inner: Vec<(String, &Value)> = match root {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };

    let below = inner
        .into_iter()
        .flat_map(|(key, value)| pointers(value, &format!("{path}/{key}")));
    std::iter::once(path.to_owned()).chain(below).collect()
}

#[track_caller]
fn check_line(result: Result<Config, super::super::ConfigError>) {
    if let Err(error) = result {
        let line = error.to_string();
        assert!(
            !error.problems.is_empty() && !line.contains(['\n', '\r']),
            "{line}"
        );
    }
}

proptest! {
    #[test]
    fn no_value_makes_it_panic(value in json_value()) {
        check_line(parse(value.to_string().as_bytes(), &environment));
    }

    #[test]
    fn no_mutation_makes_it_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), json_value()), 1..4)) {
        let mut config = everything();
        for (index, value) in changes {
            let places = pointers(&config, "");
            *config.pointer_mut(index.get::<String>(&places)).unwrap() = value;
        }

        check_line(parse(config.to_string().as_bytes(), &environment));
        if let Value::Object(map) = &config {
            let packed = parse(&to_struct(map).encode_to_vec(), &environment);
            prop_assert_eq!(packed.is_ok(), parse(config.to_string().as_bytes(), &environment).is_ok());
            check_line(packed);
        }
    }
}
