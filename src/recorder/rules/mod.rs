//! Which rule decides about an exchange: conditions, first match, and checks of a whole
//! configuration.

pub mod covering;
pub mod dry_run;
mod index;
pub mod own_batch;
mod patterns;
mod policy;
mod readings;
mod rule;

pub use patterns::{HeaderCondition, HostPattern, PathPattern, ValuePattern};
pub use policy::Policy;
pub(super) use readings::Readings;
pub use rule::{Conditions, End, ExtraFields, RequestHead, Rule, StatusRange};
