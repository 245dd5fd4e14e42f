//! The port to the proxy: values of one stream, and values that outlive a VM. Each access costs one
//! host call.

use std::fmt;

/// A stream property; the adapter maps it to Envoy's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Property {
    /// Address without port of the TCP peer, when a `set_filter_state` filter provides it as
    /// `audit.direct_peer`.
    DirectPeer,
    /// `ip:port` of the client as Envoy sees it; port 0 when taken from `x-forwarded-for`.
    SourceAddress,
    /// The connection's number, unique in the process, 8 bytes little-endian.
    ConnectionId,
    /// First URI SAN of the peer's certificate.
    PeerUriSan,
    /// `HTTP/1.1`, `HTTP/2`, `HTTP/3`.
    Protocol,
    /// Start of the request in nanoseconds since the Unix epoch, 8 bytes little-endian.
    RequestTime,
    /// Duration of the request in nanoseconds, 8 bytes little-endian.
    RequestDuration,
    /// Bit set of Envoy's response flags, 8 bytes little-endian.
    ResponseFlags,
    /// The reason of the response, e.g. `via_upstream`.
    ResponseCodeDetails,
    /// Status of the response, 8 bytes little-endian; 0 when there is none.
    ResponseCode,
    /// Name of the upstream cluster.
    UpstreamCluster,
}

/// Access to one stream. `None`: absent, or absent in this phase.
pub trait Stream {
    /// A property as raw bytes.
    fn property(&self, property: Property) -> Option<Vec<u8>>;
    /// First value of a response trailer.
    fn response_trailer(&self, name: &str) -> Option<Vec<u8>>;
    /// All request headers in the serialization of proxy-wasm hosts, after changes by filters.
    fn request_headers(&self) -> Vec<u8>;
    /// All response headers in the serialization of proxy-wasm hosts.
    fn response_headers(&self) -> Vec<u8>;
    /// A part of the current chunk of the response's body: at most `max_bytes` from `start` on.
    fn response_body(&self, start: usize, max_bytes: usize) -> Vec<u8>;
    /// A property by a configured path, the elements separated by NUL.
    fn property_at(&self, path: &str) -> Option<Vec<u8>>;

    /// A property that is a 64-bit integer; negative values count as absent.
    fn number(&self, property: Property) -> Option<u64> {
        let bytes = self.property(property)?;
        u64::try_from(i64::from_le_bytes(bytes.try_into().ok()?)).ok()
    }
}

/// A stream that has ended: all its values are absent.
#[derive(Clone, Copy, Debug)]
pub struct Gone;

impl Stream for Gone {
    fn property(&self, _property: Property) -> Option<Vec<u8>> {
        None
    }

    fn response_trailer(&self, _name: &str) -> Option<Vec<u8>> {
        None
    }

    fn request_headers(&self) -> Vec<u8> {
        Vec::new()
    }

    fn response_headers(&self) -> Vec<u8> {
        Vec::new()
    }

    fn response_body(&self, _start: usize, _max_bytes: usize) -> Vec<u8> {
        Vec::new()
    }

    fn property_at(&self, _path: &str) -> Option<Vec<u8>> {
        None
    }
}

/// Values that outlive this VM: all VMs of a process with the same `vm_id` share them.
pub trait SharedData: fmt::Debug {
    /// A value and its version.
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)>;
    /// Sets a value unconditionally.
    fn set(&self, key: &str, value: &[u8]);
    /// Sets a value if its version is still this one; with `None`, if there is none yet. False: the
    /// version has changed.
    fn replace(&self, key: &str, value: &[u8], version: Option<u32>) -> bool;
}
