//! Numbers in JSON, in the forms of protobuf's JSON mapping: whole numbers also as strings, with a
//! fraction of zeros or with an exponent; doubles also as names.

use std::fmt;

use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Nanoseconds since the Unix epoch, not negative. A `fixed64` beyond the year 2262 is
/// [`i64::MAX`].
#[derive(Default)]
pub(super) struct UnixNano(pub(super) i64);

impl From<u64> for UnixNano {
    fn from(value: u64) -> Self {
        Self(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl<'de> Deserialize<'de> for UnixNano {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole::<u64, D>(deserializer, "an unsigned 64-bit integer").map(Self::from)
    }
}

/// An int64.
pub(super) struct Integer(pub(super) i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole(deserializer, "a signed 64-bit integer").map(Self)
    }
}

/// A `SeverityNumber`, by its number or by its name in `logs.proto`.
#[derive(Default)]
pub(super) struct Severity(pub(super) i32);

impl<'de> Deserialize<'de> for Severity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = Whole {
            expected: "a severity, by number or name",
            named: |text| SeverityNumber::from_str_name(text).map(i32::from),
        };
        narrow(deserializer.deserialize_any(&visitor)?, &visitor).map(Self)
    }
}

/// A whole number in any form that protobuf's JSON mapping allows: digits, a fraction of zeros, an
/// exponent; as a number or as a string. A string is read as a decimal, since a double would change
/// the last digits of a time.
fn whole<'de, N, D>(deserializer: D, expected: &'static str) -> Result<N, D::Error>
where
    N: TryFrom<i128>,
    D: Deserializer<'de>,
{
    let visitor = Whole {
        expected,
        named: |_| None,
    };
    narrow(deserializer.deserialize_any(&visitor)?, &visitor)
}

fn narrow<N: TryFrom<i128>, E: Error>(value: i128, visitor: &Whole) -> Result<N, E> {
    N::try_from(value).map_err(|_| {
        let text = value.to_string();
        E::invalid_value(Unexpected::Other(&text), &visitor)
    })
}

/// Reads a whole number, or a name of one.
struct Whole {
    expected: &'static str,
    named: fn(&str) -> Option<i32>,
}

impl Visitor<'_> for &Whole {
    type Value = i128;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expected)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<i128, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<i128, E> {
        Ok(value.into())
    }

    /// A number with a fraction or an exponent. The reader of JSON has made a double of it.
    fn visit_f64<E: Error>(self, value: f64) -> Result<i128, E> {
        /// 2^64, as a double. A larger value fits no type, and the conversion would saturate.
        const LIMIT: f64 = 18_446_744_073_709_551_616.0;
        if value.fract() == 0.0 && value.abs() <= LIMIT {
            Ok(value as i128)
        } else {
            Err(E::invalid_value(Unexpected::Float(value), &self))
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<i128, E> {
        (self.named)(text)
            .map(i128::from)
            .or_else(|| decimal(text))
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// The value of a decimal without a fraction; `None` too when it has more than 38 digits.
fn decimal(text: &str) -> Option<i128> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (units, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    if units.is_empty() || fraction.is_empty() {
        return None;
    }

    let fraction = fraction.trim_end_matches('0');
    let mut value = 0_i128;
    for digit in units.chars().chain(fraction.chars()) {
        value = value
            .checked_mul(10)?
            .checked_add(digit.to_digit(10)?.into())?;
    }
    if unsigned.len() < mantissa.len() {
        value = -value;
    }

    let places = i64::try_from(fraction.len()).ok()?;
    scaled(value, exponent.parse::<i64>().ok()?.checked_sub(places)?)
}

/// `value` times ten to the power of `exponent`, if that is whole.
fn scaled(value: i128, exponent: i64) -> Option<i128> {
    if value == 0 {
        return Some(0);
    }
    let factor = 10_i128.checked_pow(u32::try_from(exponent.unsigned_abs()).ok()?)?;
    if exponent < 0 {
        (value % factor == 0).then(|| value / factor)
    } else {
        value.checked_mul(factor)
    }
}

/// A double, written as a number or as a string such as `"NaN"`.
pub(super) struct Double(pub(super) f64);

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DoubleVisitor)
    }
}

struct DoubleVisitor;

impl Visitor<'_> for DoubleVisitor {
    type Value = Double;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number, as a number or as a string")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Double, E> {
        Ok(Double(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Double, E> {
        Ok(Double(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Double, E> {
        Ok(Double(value as f64))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Double, E> {
        value
            .parse()
            .map(Double)
            .map_err(|_| E::invalid_value(Unexpected::Str(value), &self))
    }
}

/// A double as JSON, which has no number for NaN and the infinities: they are strings.
pub(super) fn double(value: f64) -> Value {
    match value {
        value if value.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        value => value.into(),
    }
}
