//! What the tests and benchmarks of the filter and of its collector share.
//!
//! The code does not depend on the audit filter. The [`upstream`] records the requests and answers
//! as they specify. The [`client`] sends given requests and returns the answers. Both use addresses
//! as given, without name resolution, and do not retry. What the demo does not need belongs to a
//! feature: a real Envoy with its audit cluster and its load to `envoy`, the collector as a program
//! to `collector`.

pub mod args;
pub mod client;
pub mod cpu;
pub mod headers;
mod quantile;
mod script_body;
pub mod tools;
pub mod upstream;
mod wait;

#[cfg(feature = "envoy")]
pub mod audit;
#[cfg(feature = "envoy")]
pub mod bench;
#[cfg(feature = "collector")]
pub mod collector;
#[cfg(feature = "envoy")]
pub mod envoy;
#[cfg(feature = "envoy")]
pub mod wire;

#[cfg(feature = "envoy")]
pub use audit::records::Record;
#[cfg(feature = "envoy")]
pub use envoy::mesh::Mesh;
pub use quantile::quantile;
pub use wait::{DEADLINE, eventually, now};
