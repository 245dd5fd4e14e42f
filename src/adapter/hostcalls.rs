//! Host calls that never panic. They return raw bytes, and treat an unexpected status as an
//! absence.

use std::time::Duration;

use proxy_wasm::hostcalls::dispatch_http_call;
use proxy_wasm::types::{BufferType, MapType, Status};

use super::imports;
use crate::host::{Property, SharedData, Stream};
use crate::pipeline::Callout;
use crate::pipeline::trouble::Refusal;
use crate::recorder::headers::Headers;
use crate::wire::{SDK_NAME, SDK_VERSION};

/// A header map in the host's serialization; read in place.
pub(super) struct HeaderMap(Vec<u8>);

impl HeaderMap {
    /// Reads a whole map; a map that is not there is empty.
    pub(super) fn read(map: MapType) -> Self {
        Self(imports::header_map(map).unwrap_or_default())
    }

    pub(super) fn headers(&self) -> Headers<'_> {
        Headers::parse(&self.0)
    }

    /// The bytes as the host wrote them.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Removes every value of the named headers.
pub(super) fn remove(map: MapType, names: &[&str]) {
    for name in names {
        // A refusal means that the map is gone, and with it the header.
        let _ = imports::remove_header(map, name);
    }
}

/// Sets headers; each replaces all values of its name.
pub(super) fn set(map: MapType, headers: &[(&str, Vec<u8>)]) {
    for (name, value) in headers {
        // A refusal means that the map is gone, and with it the request or response.
        let _ = imports::set_header(map, name, value);
    }
}

/// The stream of the current callback.
pub(super) struct CurrentStream;

impl Stream for CurrentStream {
    fn property(&self, property: Property) -> Option<Vec<u8>> {
        imports::property(path(property))
    }

    fn request_headers(&self) -> Vec<u8> {
        imports::header_map(MapType::HttpRequestHeaders).unwrap_or_default()
    }

    fn response_headers(&self) -> Vec<u8> {
        imports::header_map(MapType::HttpResponseHeaders).unwrap_or_default()
    }

    fn response_body(&self, start: usize, max_bytes: usize) -> Vec<u8> {
        imports::buffer(BufferType::HttpResponseBody, start, max_bytes).unwrap_or_default()
    }

    fn property_at(&self, path: &str) -> Option<Vec<u8>> {
        imports::property(path)
    }

    fn response_trailer(&self, name: &str) -> Option<Vec<u8>> {
        imports::header(MapType::HttpResponseTrailers, name)
    }
}

/// The shared data of the process.
#[derive(Debug)]
pub(super) struct ProcessData;

impl SharedData for ProcessData {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        imports::shared_data(key)
    }

    fn set(&self, key: &str, value: &[u8]) {
        // Without shared data nothing outlives the VM, but the filter still works.
        let _ = imports::set_shared_data(key, value, 0);
    }

    fn replace(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        /// Envoy compares versions only if there is a value, and counts them from 1: no value has
        /// this one.
        const ABSENT: u32 = u32::MAX;
        imports::set_shared_data(key, value, version.unwrap_or(ABSENT))
    }
}

/// Envoy's names of the properties (Envoy docs, "Attributes"), the elements of each separated by
/// NUL.
fn path(property: Property) -> &'static str {
    match property {
        Property::DirectPeer => "filter_state\0audit.direct_peer",
        Property::SourceAddress => "source\0address",
        Property::ConnectionId => "connection_id",
        Property::PeerUriSan => "connection\0uri_san_peer_certificate",
        Property::Protocol => "request\0protocol",
        Property::RequestTime => "request\0time",
        Property::RequestDuration => "request\0duration",
        Property::ResponseFlags => "response\0flags",
        Property::ResponseCode => "response\0code",
        Property::ResponseCodeDetails => "response\0code_details",
        Property::UpstreamCluster => "xds\0cluster_name",
    }
}

/// Passes a callout to Envoy; returns its token, or the reason of an immediate refusal. A timeout
/// below one millisecond becomes one, since zero means no timeout.
pub(super) fn dispatch(callout: &Callout<'_>) -> Result<u32, Refusal> {
    let target = callout.target;
    let user_agent = format!("{SDK_NAME}/{SDK_VERSION}");
    let key = format!("\"{}\"", callout.batch_id);

    let mut headers = vec![
        (":method", "POST"),
        (":path", target.path.as_str()),
        (":authority", target.authority.as_str()),
        ("content-type", target.format.content_type()),
        ("user-agent", user_agent.as_str()),
        ("idempotency-key", key.as_str()),
    ];
    headers.extend(
        target
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );

    let timeout = target.timeout.max(Duration::from_millis(1));
    let body = Some(callout.body);
    dispatch_http_call(&target.cluster, headers, body, Vec::new(), timeout).map_err(|status| {
        // The cluster is unknown. The other cause, a missing header, cannot occur here (Envoy
        // `source/extensions/common/wasm/context.cc`, `Context::httpCall`).
        if status == Status::BadArgument {
            Refusal::UnknownCluster
        } else {
            Refusal::NotTaken
        }
    })
}
