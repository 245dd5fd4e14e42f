//! Trouble so far, by the names of its kinds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

/// Shared by the code that makes trouble and the code that prints.
#[derive(Clone)]
pub struct Diary(Arc<Mutex<BTreeMap<&'static str, usize>>>);

impl Diary {
    pub fn new() -> Self {
        Self(Arc::default())
    }

    pub fn note(&self, kind: &'static str) {
        *self.0.lock().unwrap().entry(kind).or_default() += 1;
    }
}

impl fmt::Display for Diary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.lock().unwrap();
        let texts: Vec<String> = counts
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        f.write_str(&texts.join(", "))
    }
}
