//! Values captured by a rule's allow-lists: query parameters, request and response headers.

pub mod query;
pub mod redact;

use std::rc::Rc;

use super::bounds::clipped;
use super::headers::Headers;
use query::MAX_CAPTURED_BYTES;
use redact::REDACTED;

/// `capture` of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// Query parameters.
    pub query: Vec<Wanted>,
    /// Request headers.
    pub request_headers: Vec<Wanted>,
    /// Response headers.
    pub response_headers: Vec<Wanted>,
}

/// One captured value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name in the request or response.
    pub name: String,
    /// The attribute it is recorded as.
    pub attribute: Rc<str>,
    /// The name looks secret: its presence is recorded, its value is not.
    pub is_secret: bool,
}

/// Most names of one allow-list.
pub const MAX_NAMES: usize = 32;

/// Values by attribute name.
pub(super) type Captured = Vec<(Rc<str>, Vec<u8>)>;

impl Capture {
    pub(super) fn of_request(&self, headers: &Headers<'_>) -> Captured {
        let mut captured = Captured::new();
        if !self.query.is_empty() {
            let query = headers
                .first(":path")
                .and_then(query::of_path)
                .unwrap_or_default();

            collect(
                &self.query,
                |name| query::values(query, name),
                &mut captured,
            );
        }

        collect(
            &self.request_headers,
            |name| joined(headers, name),
            &mut captured,
        );

        captured
    }

    pub(super) fn of_response(&self, headers: &Headers<'_>, captured: &mut Captured) {
        collect(
            &self.response_headers,
            |name| joined(headers, name),
            captured,
        );
    }
}

fn collect(names: &[Wanted], find: impl Fn(&str) -> Option<Vec<u8>>, captured: &mut Captured) {
    for wanted in names {
        let Some(value) = find(&wanted.name) else {
            continue;
        };
        let value = if wanted.is_secret {
            REDACTED.as_bytes().to_vec()
        } else {
            value
        };

        captured.push((Rc::clone(&wanted.attribute), value));
    }
}

/// All values of a header as RFC 9110 section 5.3 joins them, bounded.
fn joined(headers: &Headers<'_>, name: &str) -> Option<Vec<u8>> {
    let mut values = headers.all(name);
    let mut all = values.next()?.to_vec();
    for value in values {
        if all.len() > MAX_CAPTURED_BYTES {
            break;
        }
        all.extend_from_slice(b", ");
        all.extend_from_slice(value);
    }

    Some(clipped(&all, MAX_CAPTURED_BYTES).to_vec())
}
