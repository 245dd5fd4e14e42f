//! Reference collector for audit records: takes OTLP/HTTP in, keeps each record once, lists what it has.
//!
//! It never answers 2xx before the records are durably committed, never stores a part of a request, and never changes
//! or deletes a stored record.

pub mod admission;
mod api;
pub mod app;
pub mod auth;
pub mod completeness;
pub mod db;
mod ingest;
pub mod ledger;
pub mod logs;
pub mod metrics;
pub mod nanos;
pub mod otlp;
pub mod page;
#[cfg(test)]
mod plans;
pub mod record;
mod refusal;
pub mod tls;
pub mod views;
