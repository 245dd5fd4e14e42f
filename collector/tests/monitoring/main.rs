//! What operators look at: alert rules and dashboards in `deploy/monitoring`, the names of metrics
//! in the documents. Rules are tested by `promtool`, names by a real Envoy with the filter and a
//! real collector.
#![cfg(test)]
#![expect(unreachable_pub, reason = "a program has no public items")]

mod alerts;
mod collector_cases;
mod dashboards;
mod documents;
mod effects;
mod expressions;
mod filter_cases;
mod names;
mod scenario;
mod scrape;
