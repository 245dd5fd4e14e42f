//! The type of a YAML scalar: Envoy and Kubernetes agree on most.

use serde_json::{Number, Value};
use yaml_rust2::parser::Tag;
use yaml_rust2::scanner::TScalarStyle;

use super::yaml::Kind;

/// A scalar as Envoy and Kubernetes read it: a quoted one, or one tagged `!!str`, is text.
pub(super) fn scalar(text: String, style: TScalarStyle, tag: Option<&Tag>) -> Kind {
    let is_text = tag.is_some_and(|tag| tag.suffix == "str");
    if style != TScalarStyle::Plain || is_text {
        return Kind::Scalar(Value::String(text));
    }

    let value = match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => {
            Value::Bool(true)
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => {
            Value::Bool(false)
        }
        _ => match (integer(&text), number_of_kubernetes(&text)) {
            (Some(number), _) if is_small(&number) => Value::Number(number),
            (Some(number), _) => {
                let text = number.to_string();
                return Kind::NumberOrText(number, text);
            }
            (None, Some(number)) => return Kind::NumberOrText(number, text),
            (None, None) => Value::String(text),
        },
    };

    Kind::Scalar(value)
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

    let (digits, radix) = hexadecimal.or(octal).unwrap_or((digits, 10));
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
    use serde_json::json;

    use crate::check::yaml::{Reader, read};

    #[track_caller]
    fn check(text: &str, reader: Reader, expected: &serde_json::Value) {
        assert_eq!(read(text).unwrap()[0].to_json(reader), *expected, "{text}");
    }

    #[test]
    fn scalars_have_their_types() {
        let text = "{a: 1, b: '1', c: yes, d: ~, e: 1.5, f: 1s, g: -3, h: !!str 7, i: 18446744073709551615, j: .e}";
        let expected = json!({
            "a": 1, "b": "1", "c": true, "d": null, "e": 1.5, "f": "1s", "g": -3, "h": "7", "i": u64::MAX, "j": ".e",
        });
        check(text, Reader::Kubernetes, &expected);
    }

    #[test]
    fn numbers_have_their_base_and_short_words_are_booleans() {
        let text =
            "{a: 010, b: 0x1F, c: -017, d: 0, e: 08, f: y, g: N, h: 0x+1, i: --1, j: +7, k: 0x}";
        let expected = json!({
            "a": 8, "b": 31, "c": -15, "d": 0, "e": 8, "f": true, "g": false, "h": "0x+1", "i": "--1", "j": 7, "k": "0x",
        });
        for reader in [Reader::Kubernetes, Reader::Envoy] {
            check(text, reader, &expected);
        }
    }

    #[test]
    fn some_numbers_of_kubernetes_are_text_for_envoy() {
        let text = "[1_000, 0o17, 0b101, -1.5, 1e2, 2147483648, -2147483648]";
        check(
            text,
            Reader::Kubernetes,
            &json!([1000, 15, 5, -1.5, 100.0, 2_147_483_648_u64, i32::MIN]),
        );
        check(
            text,
            Reader::Envoy,
            &json!([
                "1_000",
                "0o17",
                "0b101",
                "-1.5",
                "1e2",
                "2147483648",
                i32::MIN
            ]),
        );
    }
}
