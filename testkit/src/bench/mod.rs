//! Cost on a real Envoy: an Envoy for each row, its load, its audit cluster, and its CPU time.

pub mod artefacts;
pub mod audit;
pub mod awake;
pub mod bootstrap;
mod http2;
pub mod load;
pub mod machine;
pub mod measure;
pub mod options;
pub mod origin;
pub mod pace;
mod processor;
pub mod progress;
pub mod quiet;
pub mod requests;
pub mod row;
pub mod sidecar;
pub mod sink;
pub mod subject;
pub mod table;
