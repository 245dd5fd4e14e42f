//! Numbers in JSON: 64-bit integers as numbers or as strings of digits, doubles also as names.

use std::fmt;

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
        deserializer.deserialize_any(UnixNanoVisitor)
    }
}

struct UnixNanoVisitor;

impl Visitor<'_> for UnixNanoVisitor {
    type Value = UnixNano;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an unsigned 64-bit integer, as a number or as a string of digits")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<UnixNano, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<UnixNano, E> {
        value
            .parse::<u64>()
            .map(UnixNano::from)
            .map_err(|_| E::invalid_value(Unexpected::Str(value), &self))
    }
}

/// An int64, written as a string of digits or as a number.
pub(super) struct Integer(pub(super) i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IntegerVisitor)
    }
}

struct IntegerVisitor;

impl Visitor<'_> for IntegerVisitor {
    type Value = Integer;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a signed 64-bit integer, as a number or as a string of digits")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Integer, E> {
        Ok(Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Integer, E> {
        i64::try_from(value)
            .map(Integer)
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Integer, E> {
        value
            .parse()
            .map(Integer)
            .map_err(|_| E::invalid_value(Unexpected::Str(value), &self))
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
