//! Calls translated by another Envoy filter: into gRPC after this filter, or from gRPC before it.

use super::{Wire, is_method};
use crate::host::Stream;
use crate::recorder::bounds::{MAX_NAME_BYTES, clipped};
use crate::recorder::headers::Headers;
use crate::recorder::uri::path;
use crate::recorder::uri::path_parameters::redacted;

/// The request at the end of its stream, if it was not a call at this filter: one host call.
#[derive(Debug)]
pub(in crate::recorder) struct Translated {
    /// It became a gRPC call. False: it was one at the client.
    pub(in crate::recorder) is_to_grpc: bool,
    /// `pkg.Service/Method`, cut to [`MAX_NAME_BYTES`]; `None` if the path at this filter names it.
    pub(in crate::recorder) method: Option<Vec<u8>>,
}

impl Translated {
    /// Reads the request headers as left by later filters. If a filter changed the path, Envoy
    /// keeps the client's path in `x-envoy-original-path`.
    ///
    /// A client can send that header too. If the path at this filter names a method, that one
    /// counts.
    pub(in crate::recorder) fn read(seen_path: &[u8], stream: &dyn Stream) -> Self {
        let map = stream.request_headers();
        let headers = Headers::parse(&map);
        let content_type = headers.first("content-type").unwrap_or_default();
        let is_to_grpc = Wire::of_content_type(content_type).is_some_and(Wire::is_grpc);
        let is_named = !is_to_grpc && is_method(seen_path);
        let name = if is_to_grpc {
            ":path"
        } else {
            "x-envoy-original-path"
        };
        let path = if is_named { None } else { headers.first(name) };

        Self {
            is_to_grpc,
            method: path.and_then(method),
        }
    }
}

/// The method named by a path, normalized as recorded paths are.
fn method(path: &[u8]) -> Option<Vec<u8>> {
    let path = path::normalize(path);
    let method = redacted(path.strip_prefix(b"/")?);
    Some(clipped(&method, MAX_NAME_BYTES).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_recorded_as_paths_are() {
        for (path, expected) in [
            ("/acme.Users/Rename", Some("acme.Users/Rename")),
            ("/acme.Users/Rename?x", Some("acme.Users/Rename")),
            ("//acme.Users/./%52ename", Some("acme.Users/Rename")),
            (
                "/acme.Users/Rename%3Bsid%3Dsecret",
                Some("acme.Users/Rename;sid=[REDACTED]"),
            ),
            ("acme.Users/Rename", None),
        ] {
            assert_eq!(
                method(path.as_bytes()).as_deref(),
                expected.map(str::as_bytes),
                "{path}"
            );
        }
    }
}
