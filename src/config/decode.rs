//! The bytes that Envoy delivers, as one JSON value: JSON text or a serialized protobuf Struct,
//! variables filled in.

use prost::Message;
use prost_types::value::Kind;
use serde_json::{Map, Number, Value};

use super::problems::Problems;
use super::trail::Trail;
use crate::json::without_bom;

/// Turns the delivered bytes into a value.
///
/// `StringValue` arrives as its bare text, `Struct` as serialized protobuf. JSON is tried first: a
/// serialized Struct starts with the bytes `0x0a <length> 0x0a`, which no JSON text can continue.
/// Empty input is an empty object.
///
/// # Errors
/// One sentence with the reason for which both forms were rejected.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, String> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }

    let json_error = match serde_json::from_slice(without_bom(bytes)) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if bytes.first() == Some(&STRUCT_FIRST_BYTE)
        && let Ok(fields) = prost_types::Struct::decode(bytes)
    {
        return Ok(from_struct(fields));
    }

    Err(format!(
        "is neither JSON nor a protobuf Struct: {json_error}"
    ))
}

/// Field 1 (`fields`), length-delimited: the first byte of every non-empty
/// `google.protobuf.Struct`.
const STRUCT_FIRST_BYTE: u8 = 0x0a;

fn from_struct(fields: prost_types::Struct) -> Value {
    let mut map = Map::new();
    // Not with `collect`, which would link a sorting algorithm for entries that are already sorted.
    map.extend(
        fields
            .fields
            .into_iter()
            .map(|(key, value)| (key, from_value(value))),
    );
    Value::Object(map)
}

fn from_value(value: prost_types::Value) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::NumberValue(number)) => {
            Number::from_f64(number).map_or(Value::Null, Value::Number)
        }
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::BoolValue(flag)) => Value::Bool(flag),
        Some(Kind::StructValue(fields)) => from_struct(fields),
        Some(Kind::ListValue(list)) => {
            Value::Array(list.values.into_iter().map(from_value).collect())
        }
    }
}

/// Looks up one variable of the VM's environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces `${NAME}` in every string value; problems are noted with the value's path.
pub(super) fn fill_variables(value: &mut Value, environment: Environment<'_>, problems: &Problems) {
    fill_below(value, Trail::Root, environment, problems);
}

fn fill_below(
    value: &mut Value,
    trail: Trail<'_>,
    environment: Environment<'_>,
    problems: &Problems,
) {
    match value {
        Value::String(text) if text.contains('$') => {
            let warn = |sentence: &str| problems.warn(|| trail.path(), sentence);

            match filled(text, environment, &warn) {
                Ok(new) => *text = new,
                Err(sentence) => problems.add(|| trail.path(), &sentence),
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                fill_below(item, Trail::Index(&trail, index), environment, problems);
            }
        }
        Value::Object(map) => {
            for (key, item) in map.iter_mut() {
                fill_below(item, Trail::Key(&trail, key), environment, problems);
            }
        }
        _ => {}
    }
}

/// The text with its variables filled in. Warns of each empty one, and of a `$NAME` without braces.
fn filled(text: &str, environment: Environment<'_>, warn: &dyn Fn(&str)) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;

    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let Some(after) = after.strip_prefix('{') else {
            if looks_like_variable(after) {
                warn("has a $ without braces, which stays as it is: a variable is written ${NAME}");
            }
            out.push('$');
            rest = after;
            continue;
        };

        let (name, tail) = after.split_once('}').ok_or(r#"has a "${" without "}""#)?;
        if !is_variable_name(name) {
            return Err(r#"has a "${...}" whose name is not [A-Za-z_][A-Za-z0-9_]*"#.to_owned());
        }
        let value = environment(name).ok_or(format!("environment variable {name} is not set"))?;
        if value.is_empty() {
            warn(&format!("environment variable {name} is empty"));
        }
        out.push_str(&value);
        rest = tail;
    }

    out.push_str(rest);
    Ok(out)
}

/// Whether the text after a `$` begins with a word of capitals, as variables have it.
fn looks_like_variable(after: &str) -> bool {
    let is_end = |letter: char| !letter.is_alphanumeric() && letter != '_';
    let word = after.split(is_end).next().unwrap_or_default();
    word.len() > 1
        && word.starts_with(|first: char| first.is_ascii_uppercase())
        && word
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn is_variable_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The value that Envoy makes of the same YAML given as `google.protobuf.Struct`.
    fn to_value(value: &Value) -> prost_types::Value {
        let kind = match value {
            Value::Null => Kind::NullValue(0),
            Value::Bool(flag) => Kind::BoolValue(*flag),
            Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
            Value::String(text) => Kind::StringValue(text.clone()),
            Value::Array(items) => Kind::ListValue(prost_types::ListValue {
                values: items.iter().map(to_value).collect(),
            }),
            Value::Object(map) => Kind::StructValue(to_struct(map)),
        };

        prost_types::Value { kind: Some(kind) }
    }

    pub(in crate::config) fn to_struct(map: &Map<String, Value>) -> prost_types::Struct {
        prost_types::Struct {
            fields: map
                .iter()
                .map(|(key, value)| (key.clone(), to_value(value)))
                .collect(),
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (0..1_000_000_u32).prop_map(|n| Value::from(f64::from(n))),
            "[a-z/${}\n\"]{0,40}".prop_map(Value::from),
        ];

        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                prop::collection::vec(("[a-z_]{1,140}", inner), 0..5)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn both_forms_give_the_same_value(value in json()) {
            let map = Map::from_iter([("k".to_owned(), value)]);
            let text = serde_json::to_vec_pretty(&map).unwrap();
            let packed = to_struct(&map).encode_to_vec();
            prop_assert_eq!(decode(&packed).unwrap(), Value::Object(map.clone()));
            prop_assert_eq!(decode(&[b"\n", text.as_slice()].concat()).unwrap(), Value::Object(map.clone()));
            prop_assert_eq!(decode(&[b"\xef\xbb\xbf", text.as_slice()].concat()).unwrap(), Value::Object(map));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
            let _ = decode(&[&[STRUCT_FIRST_BYTE], bytes.as_slice()].concat());
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_a_crash() {
        assert!(decode("[".repeat(100_000).as_bytes()).is_err());

        let nested = (0..1000).fold(prost_types::Value::default(), |inner, _| {
            prost_types::Value {
                kind: Some(Kind::ListValue(prost_types::ListValue {
                    values: vec![inner],
                })),
            }
        });

        let fields = [("k".to_owned(), nested)].into_iter().collect();
        assert!(decode(&prost_types::Struct { fields }.encode_to_vec()).is_err());
    }

    #[test]
    fn variables_are_filled_from_the_environment() {
        let environment = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
        let mut value =
            serde_json::json!({"a": {"b": ["Bearer ${TOKEN}", "${TOKEN}${TOKEN}"]}, "c": "$TOKEN"});
        let problems = Problems::default();
        fill_variables(&mut value, &environment, &problems);

        assert_eq!(
            value,
            serde_json::json!({"a": {"b": ["Bearer s3cret", "s3crets3cret"]}, "c": "$TOKEN"})
        );
        let (problems, warnings) = problems.into_vecs();
        assert!(problems.is_empty(), "{problems:?}");
        let plain =
            "c: has a $ without braces, which stays as it is: a variable is written ${NAME}";
        assert_eq!(warnings, [plain]);
    }

    #[test]
    fn bad_variables_are_named_with_their_path() {
        let mut value = serde_json::json!({"a": ["${GONE}"], "b": "${", "c": "${1}"});
        let problems = Problems::default();
        fill_variables(&mut value, &|_| None, &problems);
        let problems = problems.into_vecs().0;
        assert_eq!(problems.len(), 3);
        assert_eq!(problems[0], "a[0]: environment variable GONE is not set");
        assert!(problems[1].starts_with("b: has a"), "{problems:?}");
        assert!(problems[2].starts_with("c: has a"), "{problems:?}");
    }
}
