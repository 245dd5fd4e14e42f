//! Shared by the benchmarks: an Envoy for each row, its load, its audit cluster, and its CPU time.

pub mod args;
pub mod artefacts;
pub mod audit;
pub mod awake;
pub mod bench;
pub mod bootstrap;
pub mod cpu;
pub mod frame;
pub mod http1;
pub mod http2;
pub mod load;
pub mod progress;
pub mod quantile;
pub mod requests;
pub mod row;
pub mod sink;
pub mod subject;
pub mod table;
pub mod wire;
