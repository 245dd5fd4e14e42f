//! `service.instance.id`: which instance of the service sent a record.

use uuid::Uuid;

use crate::host::SharedData;

/// Most bytes of an instance's id; a longer one is cut. It is part of every batch.
const MAX_BYTES: usize = 256;

/// Key of the process's id in shared data.
const KEY: &str = "audit_filter.instance";

/// First byte of the value. It is followed by the id, 16 bytes.
const FORMAT_VERSION: u8 = 1;

/// Attempts to store an id, two host calls each. An attempt fails only if another VM has stored
/// one, so the next attempt finds it.
const MAX_ATTEMPTS: usize = 3;

/// The id of Envoy's node, the same over restarts, if it has one. Else one of the process, which
/// its first VM made from `fresh`; VMs with another `vm_id` share another one. Where shared data
/// cannot be changed, it is `fresh` itself.
#[must_use]
pub fn instance(node_id: &[u8], shared: &dyn SharedData, fresh: Uuid) -> String {
    if node_id.is_empty() {
        return of_process(shared, fresh).to_string();
    }

    let mut id = String::from_utf8_lossy(node_id).into_owned();
    id.truncate(id.floor_char_boundary(MAX_BYTES));
    id
}

fn of_process(shared: &dyn SharedData, fresh: Uuid) -> Uuid {
    for _ in 0..MAX_ATTEMPTS {
        let version = match shared.get(KEY) {
            Some((value, version)) => match read(&value) {
                Some(id) => return id,
                None => Some(version),
            },
            None => None,
        };

        if shared.replace(KEY, &value(fresh), version) {
            return fresh;
        }
    }

    fresh
}

fn value(id: Uuid) -> Vec<u8> {
    [&[FORMAT_VERSION], id.as_bytes().as_slice()].concat()
}

fn read(value: &[u8]) -> Option<Uuid> {
    let (&[version], id) = value.split_first_chunk()?;
    let id = Uuid::from_bytes(id.try_into().ok()?);
    (version == FORMAT_VERSION).then_some(id)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const FRESH: Uuid = Uuid::from_u128(7);
    const LATER: Uuid = Uuid::from_u128(8);

    /// One value and its version.
    #[derive(Debug, Default)]
    struct OneValue {
        value: RefCell<Option<(Vec<u8>, u32)>>,
        is_read_only: bool,
    }

    impl SharedData for OneValue {
        fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
            assert_eq!(key, KEY);
            self.value.borrow().clone()
        }

        fn set(&self, key: &str, _value: &[u8]) {
            panic!("{key} was set unconditionally");
        }

        fn replace(&self, _key: &str, value: &[u8], version: Option<u32>) -> bool {
            let mut stored = self.value.borrow_mut();
            let found = stored.as_ref().map(|(_, version)| *version);
            let replaces = found == version && !self.is_read_only;
            if replaces {
                *stored = Some((value.to_vec(), found.unwrap_or_default() + 1));
            }
            replaces
        }
    }

    fn stored(value: &[u8]) -> OneValue {
        OneValue {
            value: RefCell::new(Some((value.to_vec(), 1))),
            ..OneValue::default()
        }
    }

    #[test]
    fn the_node_id_is_the_instance() {
        let shared = OneValue::default();
        assert_eq!(
            instance(b"sidecar~10.0.0.7~shop-1.shop", &shared, FRESH),
            "sidecar~10.0.0.7~shop-1.shop"
        );
        assert_eq!(shared.get(KEY), None, "nothing is stored");
    }

    #[test]
    fn a_long_node_id_is_cut_between_characters() {
        let long = "\u{20ac}".repeat(100);
        let id = instance(long.as_bytes(), &OneValue::default(), FRESH);
        assert_eq!(id, "\u{20ac}".repeat(85));
    }

    #[test]
    fn without_a_node_id_the_first_vm_of_the_process_makes_one() {
        let shared = OneValue::default();
        assert_eq!(instance(b"", &shared, FRESH), FRESH.to_string());
        assert_eq!(instance(b"", &shared, LATER), FRESH.to_string());
    }

    #[test]
    fn a_value_of_another_form_is_replaced() {
        for other in [b"".as_slice(), b"\x02123456789012345", &[1; 20]] {
            let shared = stored(other);
            assert_eq!(instance(b"", &shared, FRESH), FRESH.to_string());
            assert_eq!(instance(b"", &shared, LATER), FRESH.to_string());
        }
    }

    #[test]
    fn without_shared_data_each_vm_has_its_own() {
        let shared = OneValue {
            is_read_only: true,
            ..OneValue::default()
        };
        assert_eq!(instance(b"", &shared, FRESH), FRESH.to_string());
        assert_eq!(instance(b"", &shared, LATER), LATER.to_string());
    }
}
