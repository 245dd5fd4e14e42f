//! The type of a scalar: Envoy and Kubernetes agree on most.

use serde_json::{Number, Value};
use yaml_rust2::parser::Tag;
use yaml_rust2::scanner::TScalarStyle;

use super::reader::Reader;

/// A scalar as it is read.
pub(super) fn scalar(
    text: String,
    style: TScalarStyle,
    tag: Option<&Tag>,
    reader: Reader,
) -> Value {
    if is_text(style, tag, reader) {
        return Value::String(text);
    }
    match reader {
        Reader::Json | Reader::Filter => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Reader::Kubernetes | Reader::Envoy => plain(text, reader),
    }
}

/// Quotes make a text, and so does a tag: `!!str` for Kubernetes, `!` alone for Envoy, which
/// ignores quotes beside another tag (`source/common/protobuf/yaml_utility.cc`).
fn is_text(style: TScalarStyle, tag: Option<&Tag>, reader: Reader) -> bool {
    let is_quoted = style != TScalarStyle::Plain;
    match (tag, reader) {
        (None, _) => is_quoted,
        (Some(tag), Reader::Envoy) => [&tag.handle, &tag.suffix].into_iter().eq(["", "!"]),
        (Some(tag), _) => is_quoted || tag.suffix == "str",
    }
}

fn plain(text: String, reader: Reader) -> Value {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => {
            Value::Bool(true)
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => {
            Value::Bool(false)
        }
        _ if reader == Reader::Kubernetes => {
            number_of_kubernetes(&text).map_or(Value::String(text), Value::Number)
        }
        _ => match integer(&text) {
            Some(number) if is_small(&number) => Value::Number(number),
            Some(number) => Value::String(number.to_string()),
            None => Value::String(text),
        },
    }
}

/// Whether Envoy reads the integer as a number. It makes texts of larger ones, in decimal
/// (`source/common/protobuf/yaml_utility.cc`).
fn is_small(number: &Number) -> bool {
    number
        .as_i64()
        .is_some_and(|number| i32::try_from(number).is_ok())
}

/// An integer. Both read its base as C does: `0x1f` and `017`.
fn integer(text: &str) -> Option<Number> {
    let (sign, digits) = signed(text);
    let hexadecimal = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
        .map(|digits| (digits, 16));
    let octal = digits
        .strip_prefix('0')
        .filter(|digits| is_octal(digits))
        .map(|digits| (digits, 8));

    let is_decimal = !digits.starts_with('0') || digits == "0";
    let decimal = is_decimal.then_some((digits, 10));
    let (digits, radix) = hexadecimal.or(octal).or(decimal)?;
    of_radix(sign, digits, radix)
}

/// Forms that Kubernetes reads as numbers, too: fractions, exponents, `1_000`, `0o17` and `0b1`
/// (<https://github.com/kubernetes-sigs/yaml/blob/master/goyaml.v2/resolve.go>).
fn number_of_kubernetes(text: &str) -> Option<Number> {
    let plain = text.replace('_', "");
    let (sign, digits) = signed(&plain);
    let of_base = |prefix: &str, radix: u32| of_radix(sign, digits.strip_prefix(prefix)?, radix);

    let is_fraction = plain
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let fraction = || Number::from_f64(plain.parse().ok().filter(|_| is_fraction)?);

    integer(&plain)
        .or_else(|| of_base("0o", 8))
        .or_else(|| of_base("0b", 2))
        .or_else(fraction)
}

fn signed(text: &str) -> (&str, &str) {
    text.split_at(usize::from(text.starts_with(['+', '-'])))
}

fn is_octal(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'))
}

fn of_radix(sign: &str, digits: &str, radix: u32) -> Option<Number> {
    // The standard library accepts a sign, too.
    let digits = Some(digits)
        .filter(|digits| digits.starts_with(|first: char| first.is_ascii_alphanumeric()))?;
    let negative = || {
        i64::from_str_radix(&[sign, digits].concat(), radix)
            .ok()
            .map(Number::from)
    };

    if sign == "-" {
        negative()
    } else {
        u64::from_str_radix(digits, radix).ok().map(Number::from)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::check::yaml::{FileForm, read};

    /// `kind` at the root makes a manifest of Kubernetes.
    #[track_caller]
    fn check(text: &str, reader: Reader, expected: &Value) {
        let root = if reader == Reader::Kubernetes {
            "kind: x\n"
        } else {
            ""
        };
        let found = read(&format!("{root}v: {text}\n"), FileForm::Any).unwrap()[0].to_json();
        assert_eq!(found["v"], *expected, "{text}");
    }

    #[test]
    fn scalars_have_their_types() {
        let text = "{a: 1, b: '1', c: yes, d: ~, e: 1s, f: -3, g: .e, h: 010, i: 0x1F, j: -017, k: 0, l: y, m: N, \
                    n: 0x+1, o: --1, p: +7, q: 0x, r: -2147483648}";
        let expected = json!({
            "a": 1, "b": "1", "c": true, "d": null, "e": "1s", "f": -3, "g": ".e", "h": 8, "i": 31, "j": -15, "k": 0,
            "l": true, "m": false, "n": "0x+1", "o": "--1", "p": 7, "q": "0x", "r": i32::MIN,
        });
        for reader in [Reader::Kubernetes, Reader::Envoy] {
            check(text, reader, &expected);
        }
    }

    #[test]
    fn some_numbers_of_kubernetes_are_text_for_envoy() {
        let text = "[1_000, 0o17, 0b101, -1.5, 1e2, 08, 2147483648]";
        let numbers = json!([1000, 15, 5, -1.5, 100.0, 8.0, 2_147_483_648_u64]);
        let texts = json!(["1_000", "0o17", "0b101", "-1.5", "1e2", "08", "2147483648"]);
        check(text, Reader::Kubernetes, &numbers);
        check(text, Reader::Envoy, &texts);
    }

    #[test]
    fn tags_decide_in_ways_of_their_own() {
        let text = "[!!str 7, ! 7, !!int '7', !!bool 'true']";
        check(text, Reader::Kubernetes, &json!(["7", 7, "7", "true"]));
        check(text, Reader::Envoy, &json!([7, "7", 7, true]));
    }

    #[test]
    fn json_has_its_own_numbers_and_escapes() {
        let text =
            r#"{"a": 100.0, "b": 1e2, "c": "\ud83d\ude00", "d": [true, null, -7, 3000000000]}"#;
        let expected = json!({"a": 100.0, "b": 100.0, "c": "\u{1f600}", "d": [true, null, -7, 3_000_000_000_u64]});
        assert_eq!(read(text, FileForm::Any).unwrap()[0].to_json(), expected);
    }
}
