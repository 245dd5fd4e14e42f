//! What the tests and benchmarks of the filter and of its collector share.
//!
//! The code does not depend on the audit filter. The [`upstream`] records the requests and answers
//! as they specify. The [`client`] sends given requests and returns the answers. Both use addresses
//! as given, without name resolution, and do not retry. What the demo does not need belongs to a
//! feature: a scenario on a real Envoy to `envoy`.

pub mod client;
pub mod headers;
mod script_body;
pub mod upstream;

#[cfg(feature = "envoy")]
pub mod args;
#[cfg(feature = "envoy")]
pub mod audit;
#[cfg(feature = "envoy")]
pub mod envoy;
#[cfg(feature = "envoy")]
pub mod tools;
#[cfg(feature = "envoy")]
mod wait;

#[cfg(feature = "envoy")]
pub use audit::records::Record;
#[cfg(feature = "envoy")]
pub use envoy::mesh::Mesh;
#[cfg(feature = "envoy")]
pub use wait::{DEADLINE, eventually, now};
