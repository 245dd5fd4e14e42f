//! A real Envoy: its process, its configuration, what it discovers while it runs, and the mesh of a
//! scenario around it.

pub mod bootstrap;
pub mod crowd;
pub mod ecds;
pub mod http3;
pub mod intruder;
pub mod lds;
pub mod mesh;
pub mod process;
pub mod relay;
pub mod tls;
pub mod xds;
