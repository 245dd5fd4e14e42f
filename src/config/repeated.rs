//! Repeated keys in an object of the JSON text. RFC 8259, section 4 leaves open which of them
//! counts, so one of two lists of rules would silently have no effect.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::trail::Trail;
use crate::json::without_bom;

/// The path of each such key, in the order of the text. Empty where the bytes are not JSON text.
pub(super) fn keys(bytes: &[u8]) -> Vec<String> {
    let found = RefCell::default();
    let mut deserializer = serde_json::Deserializer::from_slice(without_bom(bytes));

    match (Scan {
        trail: Trail::Root,
        found: &found,
    })
    .deserialize(&mut deserializer)
    {
        Ok(()) => found.into_inner(),
        Err(_) => Vec::new(),
    }
}

/// Reads one value without keeping it.
struct Scan<'s> {
    trail: Trail<'s>,
    found: &'s RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Scan<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scan<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut known = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let trail = Trail::Key(&self.trail, &key);
            if known.contains_key(&key) {
                self.found.borrow_mut().push(trail.path());
            }

            map.next_value_seed(Scan {
                trail,
                found: self.found,
            })?;
            known.insert(key, Value::Null);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0;
        while items
            .next_element_seed(Scan {
                trail: Trail::Index(&self.trail, index),
                found: self.found,
            })?
            .is_some()
        {
            index += 1;
        }

        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_repeated_key_is_found_with_its_path() {
        let text = br#"{"a": 1, "b": [{"c": null, "d": {"c": "x"}, "c": -1.5}], "a": {"e": true, "e": 2}, "a": []}"#;
        assert_eq!(keys(text), ["b[0].c", "a", "a.e", "a"]);
        assert_eq!(keys(b"\xef\xbb\xbf{\"a\\u0062\":1,\"ab\":2}"), ["ab"]);
    }

    #[test]
    fn what_is_no_json_has_none() {
        for text in [
            &b""[..],
            b"{\"a\":1,\"a\":",
            b"\x0a\x05\x0a\x03abc",
            b"null",
            b"{}",
        ] {
            assert!(keys(text).is_empty(), "{text:?}");
        }

        assert!(keys("[".repeat(100_000).as_bytes()).is_empty());
    }
}
