//! Reference collector for audit records: receives OTLP/HTTP, stores each record once, and lists
//! the stored records.
//!
//! It never answers 2xx before the records are durably committed. It never stores a part of a
//! request, never changes a stored record, and deletes records only by retention.

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
