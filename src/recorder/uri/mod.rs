//! Paths and hosts of requests: one spelling for each, and what an upstream may read differently.

pub mod authority;
mod bytes;
pub mod escapes;
pub mod path;
pub(super) mod path_parameters;
pub mod template;
