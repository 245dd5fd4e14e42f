//! The HTTP server: connections, routes, access, limits, metrics, the API and the page.

pub mod admission;
mod api;
pub mod app;
pub mod auth;
mod ingest;
pub(crate) mod json;
pub mod metrics;
pub mod page;
mod probes;
mod refusal;
mod refusal_log;
pub mod secrets;
pub mod serve;
pub mod state;
pub mod tls;
