//! What the tests and benchmarks of the filter and of its collector share.
//!
//! The code does not depend on the audit filter. The [`upstream`] records the requests and answers
//! as they specify. The [`client`] sends given requests and returns the answers. Both use addresses
//! as given, without name resolution, and do not retry.

pub mod client;
pub mod headers;
mod script_body;
pub mod upstream;
