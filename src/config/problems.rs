//! Problems of a configuration, and warnings about it.

use std::cell::RefCell;

/// All findings so far, each `path: sentence`, in the order of discovery.
///
/// A sentence never quotes a value: values may hold secrets, and the line goes to Envoy's log.
#[derive(Debug, Default)]
pub(super) struct Problems {
    /// Problems, for which the configuration is refused.
    refused: RefCell<Vec<String>>,
    /// Warnings, with which it is accepted.
    warned: RefCell<Vec<String>>,
}

/// Most problems and most warnings that are listed. To find the path of each takes time in
/// proportion to the configuration, and Envoy's main thread waits meanwhile.
const MAX_LISTED: usize = 1000;

impl Problems {
    pub(super) fn add(&self, path: impl FnOnce() -> String, sentence: &str) {
        add(&self.refused, path, sentence);
    }

    pub(super) fn warn(&self, path: impl FnOnce() -> String, sentence: &str) {
        add(&self.warned, path, sentence);
    }

    /// The problems, and the warnings.
    pub(super) fn into_vecs(self) -> (Vec<String>, Vec<String>) {
        (self.refused.into_inner(), self.warned.into_inner())
    }
}

fn add(list: &RefCell<Vec<String>>, path: impl FnOnce() -> String, sentence: &str) {
    let mut list = list.borrow_mut();
    if list.len() > MAX_LISTED {
        return;
    }
    if list.len() == MAX_LISTED {
        list.push(format!("configuration: has more than these {MAX_LISTED}"));
        return;
    }

    let path = path();
    let place = if path.is_empty() {
        "configuration"
    } else {
        &path
    };
    list.push(format!("{place}: {sentence}"));
}
