//! An object of Envoy's filter state, set by an earlier filter for the stream or its connection.

use crate::host::Stream;

/// Name of one object, read as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterState(String);

/// Envoy's output for a command without a value (Envoy docs, "Access logging", format strings). An
/// object that `set_filter_state` makes of such a command has this value.
const NO_VALUE: &[u8] = b"-";

impl FilterState {
    /// The object with this name, such as `io.istio.peer_principal`. `None` for an empty name or
    /// one with a NUL byte, which separates the parts of a property path.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        (!name.is_empty() && !name.contains('\0')).then(|| Self(["filter_state\0", name].concat()))
    }

    /// The object as text, by one host call. `None`: it is missing, has no text, or has no value.
    pub(in crate::recorder) fn read(&self, stream: &dyn Stream) -> Option<Vec<u8>> {
        stream
            .property_at(&self.0)
            .filter(|value| !value.is_empty() && value != NO_VALUE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::fake::FakeStream;

    fn with(path: &str, value: &str) -> FakeStream {
        let mut stream = FakeStream::default();
        stream
            .by_path
            .insert(path.to_owned(), value.as_bytes().to_vec());
        stream
    }

    #[test]
    fn an_object_is_read_by_its_name() {
        let stream = with("filter_state\0io.istio.peer_principal", "spiffe://mesh/a");
        let principal = FilterState::new("io.istio.peer_principal").unwrap();
        assert_eq!(
            principal.read(&stream).as_deref(),
            Some(b"spiffe://mesh/a".as_slice())
        );
        assert_eq!(FilterState::new("other").unwrap().read(&stream), None);
    }

    #[test]
    fn what_stands_for_no_value_is_none() {
        for value in ["-", ""] {
            let stream = with("filter_state\0x", value);
            assert_eq!(
                FilterState::new("x").unwrap().read(&stream),
                None,
                "{value:?}"
            );
        }
    }

    #[test]
    fn no_object_has_such_a_name() {
        for name in ["", "a\0b"] {
            assert_eq!(FilterState::new(name), None, "{name:?}");
        }
    }
}
