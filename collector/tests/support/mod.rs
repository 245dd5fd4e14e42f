//! What tests and benchmarks of the whole program share: the program itself, a client, a real PostgreSQL.

pub(crate) mod http;
pub(crate) mod postgres;
pub(crate) mod program;
