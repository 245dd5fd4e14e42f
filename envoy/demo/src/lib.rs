//! A scriptable upstream and plain clients, used by the demo and by the tests that drive a real Envoy.
//!
//! Nothing here knows the audit filter: the [`upstream`] records what arrived and answers as the request asks, the
//! [`client`] sends what it is told and reports what came back. Both listen on and connect to the addresses they are
//! given and never resolve a name. No code here retries.

pub mod client;
pub mod headers;
mod script_body;
pub mod upstream;
