//! The collector as a program, a client for it, and a real PostgreSQL.

mod http;
mod postgres;
mod program;

pub use http::{Answer, Client, JSON, post};
pub use postgres::Postgres;
pub use program::{Program, binary, directory, flags};
