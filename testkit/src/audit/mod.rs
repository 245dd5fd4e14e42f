//! A scripted audit cluster, and the records that it receives.

pub mod answer;
pub mod ledger;
pub mod records;
mod request;
pub mod sink;
