//! gRPC calls that become plain HTTP, and gRPC over HTTP/1.1.

use crate::order::Order;
use crate::row::Table;
use crate::traffic::{Call, Then, Wire, grpc, grpc_over};

const PROTOBUF: &str = "application/x-protobuf";

pub fn add(table: &mut Table) {
    for filters in [
        ["grpc_json_reverse_transcoder", "audit"],
        ["audit", "grpc_json_reverse_transcoder"],
    ] {
        to_json(table, ("gRPC", filters));
    }

    for filters in [
        ["grpc_http1_reverse_bridge", "audit"],
        ["audit", "grpc_http1_reverse_bridge"],
    ] {
        to_protobuf(table, ("gRPC", filters));
    }

    for filters in [
        ["grpc_http1_bridge", "audit"],
        ["audit", "grpc_http1_bridge"],
    ] {
        over_http1(table, ("gRPC over HTTP/1.1", filters));
    }
}

fn to_json(table: &mut Table, (protocol, filters): (&'static str, [&'static str; 2])) {
    let order = (protocol, table.order(Order::http(&filters)));

    for (ending, status, client, record) in [
        (
            "upstream answers JSON, 200",
            200,
            "200 grpc=0",
            "success 200 OK/trailers",
        ),
        (
            "upstream answers JSON, 403",
            403,
            "200 grpc=7",
            "denied 200 PERMISSION_DENIED/trailers",
        ),
        (
            "upstream answers JSON, 404",
            404,
            "200 grpc=12",
            "failure 200 UNIMPLEMENTED/trailers",
        ),
    ] {
        table.row(
            order,
            ending,
            json(status),
            client,
            &format!("rpc {record}"),
        );
    }
}

fn to_protobuf(table: &mut Table, (protocol, filters): (&'static str, [&'static str; 2])) {
    let order = (protocol, table.order(Order::http(&filters)));

    for (ending, status, kind, client, record) in [
        (
            "upstream answers protobuf, 200",
            200,
            PROTOBUF,
            "200 grpc=0",
            "success 200 OK/trailers",
        ),
        (
            "upstream answers protobuf, 403",
            403,
            PROTOBUF,
            "200 grpc=7",
            "denied 200 PERMISSION_DENIED/trailers",
        ),
        (
            "upstream answers text, 403",
            403,
            "text/plain",
            "200 grpc=2",
            "failure 200 UNKNOWN/headers",
        ),
    ] {
        let call = at_row(grpc("")).answered(status, &[("content-type", kind)], "", Then::End);
        table.row(order, ending, call, client, &format!("rpc {record}"));
    }
}

fn over_http1(table: &mut Table, (protocol, filters): (&'static str, [&'static str; 2])) {
    let order = (protocol, table.order(Order::grpc(&filters)));

    for (ending, script, client, record) in [
        ("OK", "unary", "200 grpc=0", "success 200 OK/trailers"),
        (
            "denied in trailers",
            "status:7:no",
            "503 grpc=7",
            "denied 503 PERMISSION_DENIED/trailers",
        ),
    ] {
        table.row(
            order,
            ending,
            grpc_over(Wire::Http1, script),
            client,
            &format!("rpc {record}"),
        );
    }
}

/// A call that becomes a request for the REST path of its method.
fn json(status: u16) -> Call {
    // Password { user: "ann" }, which the REST path contains.
    let message = [&[0, 0, 0, 0, 5, 0x0a, 3][..], b"ann"].concat();
    grpc("")
        .body(message)
        .header("x-demo-status", &status.to_string())
        .header("x-demo-body", "{}")
}

fn at_row(mut call: Call) -> Call {
    call.message.path = "/demo.Accounts/Own{row}".to_owned();
    call
}
