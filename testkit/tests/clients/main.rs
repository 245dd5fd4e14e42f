//! The clients and the upstream, against each other and without a proxy.
#![cfg(test)]

mod exchange;
mod grpc;
mod http;
mod prepared;
