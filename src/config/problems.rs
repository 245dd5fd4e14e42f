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

impl Problems {
    pub(super) fn add(&self, path: &str, sentence: &str) {
        add(&self.refused, path, sentence);
    }

    pub(super) fn warn(&self, path: &str, sentence: &str) {
        add(&self.warned, path, sentence);
    }

    /// The problems, and the warnings.
    pub(super) fn into_vecs(self) -> (Vec<String>, Vec<String>) {
        (self.refused.into_inner(), self.warned.into_inner())
    }
}

fn add(list: &RefCell<Vec<String>>, path: &str, sentence: &str) {
    let place = if path.is_empty() {
        "configuration"
    } else {
        path
    };
    list.borrow_mut().push(format!("{place}: {sentence}"));
}
