//! Shared by tests and benchmarks of the complete program: the program, a client, a real
//! PostgreSQL.

pub(crate) mod http;
pub(crate) mod postgres;
pub(crate) mod program;
