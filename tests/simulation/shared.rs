//! The shared data of one process.

use std::cell::RefCell;
use std::collections::HashMap;

use audit_filter::host::SharedData;

#[derive(Debug, Default)]
pub struct Shared {
    values: RefCell<HashMap<String, (Vec<u8>, u32)>>,
    version: std::cell::Cell<u32>,
}

impl Shared {
    /// Bytes of all values.
    pub fn bytes(&self) -> usize {
        self.values
            .borrow()
            .values()
            .map(|(value, _)| value.len())
            .sum()
    }
}

impl SharedData for Shared {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.values.borrow().get(key).cloned()
    }

    fn set(&self, key: &str, value: &[u8]) {
        self.version.set(self.version.get() + 1);
        self.values
            .borrow_mut()
            .insert(key.to_owned(), (value.to_vec(), self.version.get()));
    }

    fn replace(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        let is_current = self.get(key).map(|(_, current)| current) == version;
        if is_current {
            self.set(key, value);
        }
        is_current
    }
}
