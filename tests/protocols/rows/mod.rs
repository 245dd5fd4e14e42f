//! The rows, a file for each kind of traffic.

mod bridges;
mod connect;
mod grpc;
mod grpc_web;
mod http;
mod http3;
mod recreated;
mod rewritten;
mod transcoded;
mod tunnels;

use crate::row::Table;

/// The whole table.
pub fn table() -> Table {
    let mut table = Table::default();
    http::add(&mut table);
    rewritten::add(&mut table);
    recreated::add(&mut table);
    tunnels::add(&mut table);
    grpc::add(&mut table);
    grpc_web::add(&mut table);
    connect::add(&mut table);
    transcoded::add(&mut table);
    bridges::add(&mut table);
    http3::add(&mut table);

    table
}
