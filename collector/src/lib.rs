//! Reference collector for audit records: receives OTLP/HTTP, stores each record once, and lists
//! the stored records.
//!
//! It never answers 2xx before the records are durably committed. It never stores a part of a
//! request, never changes a stored record, and deletes records only by retention.

pub mod completeness;
pub mod db;
pub mod far_end;
pub mod http;
pub mod ledger;
pub mod logs;
pub mod otlp;
pub mod record;
pub mod time;
pub mod views;
