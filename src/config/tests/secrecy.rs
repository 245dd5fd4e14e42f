//! Error lines never contain a value.

use super::*;

/// Puts `value` in the place of every value inside `root`, one at a time.
fn spoiled(root: &Value, value: &Value) -> Vec<Value> {
    let mut all = vec![value.clone()];

    match root {
        Value::Object(map) => {
            for (key, inner) in map {
                all.extend(spoiled(inner, value).into_iter().map(|bad| {
                    let mut copy = root.clone();
                    copy[key.as_str()] = bad;
                    copy
                }));
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                all.extend(spoiled(inner, value).into_iter().map(|bad| {
                    let mut copy = root.clone();
                    copy[index] = bad;
                    copy
                }));
            }
        }
        _ => {}
    }

    all
}

#[test]
fn no_value_is_ever_in_an_error_line() {
    let mut lines = 0;
    for value in [
        json!(SECRET),
        json!([SECRET]),
        json!({"x": SECRET}),
        json!("${AUDIT_TOKEN}"),
        json!(format!("{SECRET} ${{GONE}}")),
        json!(format!("${{{SECRET}}}")),
        json!(format!("/{SECRET}?x//")),
        json!(format!("{SECRET}\n")),
    ] {
        for config in spoiled(&everything(), &value) {
            if let Err(error) = parse(config.to_string().as_bytes(), &environment) {
                let line = error.to_string();
                assert!(!line.contains(SECRET), "{line}");
                lines += 1;
            }
        }
    }

    assert!(lines > 300, "only {lines} configurations were refused");
    let broken = format!(r#"{{"audit_cluster": {{"cluster": "{SECRET}", {SECRET}"#);
    assert!(
        !parse(broken.as_bytes(), &environment)
            .unwrap_err()
            .to_string()
            .contains(SECRET)
    );
}
