//! Native gRPC without translation.

use serde_json::json;

use crate::order::Order;
use crate::row::Table;
use crate::traffic::{LeaveAt, METHOD, grpc};

pub fn add(table: &mut Table) {
    let order = ("gRPC", table.order(Order::grpc(&["audit"])));

    for (ending, script, client, expected) in [
        ("OK", "unary", "200 grpc=0", "rpc success 200 OK/trailers"),
        (
            "denied in trailers",
            "status:7:no",
            "200 grpc=7",
            "rpc denied 200 PERMISSION_DENIED/trailers",
        ),
        (
            "denied, trailers-only",
            "trailers-only:16:who",
            "200 grpc=16",
            "rpc denied 200 UNAUTHENTICATED/headers",
        ),
        (
            "failed",
            "status:5:none",
            "200 grpc=5",
            "rpc failure 200 NOT_FOUND/trailers",
        ),
        (
            "stream that fails",
            "stream-error:2:8:full",
            "200 grpc=8",
            "rpc failure 200 RESOURCE_EXHAUSTED/trailers",
        ),
        (
            "unknown code",
            "status:42:x",
            "200 grpc=42",
            "rpc failure 200 CODE(42)/trailers",
        ),
        (
            "no status at all",
            "no-status",
            "200 without status",
            "rpc failure 200 UNKNOWN/http",
        ),
        (
            "upstream breaks off",
            "reset",
            "200 without status",
            "rpc aborted 200 UNKNOWN/reset by upstream",
        ),
    ] {
        table
            .row(order, ending, grpc(script), client, expected)
            .is("rpc.method", &METHOD[1..]);
    }

    let leaving = grpc("hang").leave(LeaveAt::Bytes(5));
    table.row(
        order,
        "client cancels within the stream",
        leaving,
        "200 left",
        "rpc aborted 200 UNKNOWN/reset by client",
    );

    let early = grpc("unary")
        .header("x-demo-delay-ms", "60000")
        .leave(LeaveAt::BeforeAnswer);
    table.row(
        order,
        "client cancels before the answer",
        early,
        "left",
        "rpc aborted UNKNOWN/reset by client",
    );
    by_envoy(table);
}

fn by_envoy(table: &mut Table) {
    let dead = ("gRPC", table.order(Order::dead(&["audit"])));
    table.row(
        dead,
        "nothing listens upstream",
        grpc("unary"),
        "200 grpc=14",
        "rpc failure 200 UNAVAILABLE/headers",
    );

    let timeout =
        json!({"match": {"prefix": "/"}, "route": {"cluster": "demo_grpc", "timeout": "1s"}});
    let order = ("gRPC", table.order(Order::grpc(&["audit"]).route(timeout)));
    let late = grpc("unary").header("x-demo-delay-ms", "60000");
    table.row(
        order,
        "route timeout before the answer",
        late,
        "200 grpc=14",
        "rpc failure 200 UNAVAILABLE/headers",
    );

    let order = ("gRPC", table.order(Order::grpc(&["audit"]).limited()));
    table.row(
        order,
        "max_stream_duration within the stream",
        grpc("hang"),
        "200 without status",
        "rpc aborted 200 UNKNOWN/reset by timeout",
    );

    for (filters, ending) in [
        (["rbac", "audit"], "refused before"),
        (["audit", "rbac"], "refused after"),
    ] {
        let order = ("gRPC", table.order(Order::grpc(&filters)));
        table.row(
            order,
            ending,
            grpc("unary"),
            "200 grpc=7",
            "rpc denied 200 PERMISSION_DENIED/headers",
        );
    }

    for (filters, ending) in [
        (["fault", "audit"], "aborted by a fault before"),
        (["audit", "fault"], "aborted by a fault after"),
    ] {
        let order = ("gRPC", table.order(Order::grpc(&filters)));
        table.row(
            order,
            ending,
            grpc("unary"),
            "200 grpc=14",
            "rpc failure 200 UNAVAILABLE/headers",
        );
    }
}
