//! Which rule decides about an exchange: conditions, first match, and checks of a whole
//! configuration.

pub mod covering;
pub mod dry_run;
pub mod own_batch;
mod patterns;
mod policy;
mod rule;

pub use patterns::{HeaderCondition, HostPattern, PathPattern, ValuePattern};
pub use policy::Policy;
pub(super) use policy::Readings;
pub use rule::{Conditions, End, ExtraFields, RequestHead, Rule, StatusRange};
