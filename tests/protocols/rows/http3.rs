//! HTTP/3 over QUIC.

use crate::order::Order;
use crate::row::Table;
use crate::traffic::{Call, LeaveAt, Then, Wire, get, grpc_over};

pub fn add(table: &mut Table) {
    let order = ("HTTP/3", table.order(Order::http(&["audit"]).http3()));
    table.row(order, "200", get(Wire::Http3, "/a"), "200", "http success 200").is("network.protocol.version", "3");
    let post = Call::new(Wire::Http3, "POST", "/a").body("x").header("x-demo-status", "403");
    table.row(order, "403", post, "403", "http denied 403");
    let cut = get(Wire::Http3, "/cut{row}").answered(200, &[], "some", Then::Break);
    table.row(order, "upstream breaks off within the body", cut, "200 broken", "http aborted 200 by upstream");
    let stuck = get(Wire::Http3, "/stuck{row}").answered(200, &[], "some", Then::Silence).leave(LeaveAt::Bytes(1));
    table.row(order, "client leaves within the body", stuck, "200 left", "http success 200 by client");
    let late = get(Wire::Http3, "/a").header("x-demo-delay-ms", "60000").leave(LeaveAt::BeforeAnswer);
    table.row(order, "client leaves before the answer", late, "left", "http aborted by client");
    let after = table.order(Order::http(&["audit", "rbac"]).http3());
    table.row(("HTTP/3", after), "refused after", get(Wire::Http3, "/a"), "403", "http denied 403");
    let before = table.order(Order::http(&["rbac", "audit"]).http3());
    table.row(("HTTP/3", before), "refused before", get(Wire::Http3, "/a"), "403", "none");

    let order = ("gRPC over HTTP/3", table.order(Order::grpc(&["audit"]).http3()));
    let grpc = |script| grpc_over(Wire::Http3, script);
    table.row(order, "OK", grpc("unary"), "200 grpc=0", "rpc success 200 OK/trailers");
    let expected = "rpc denied 200 PERMISSION_DENIED/trailers";
    table.row(order, "denied in trailers", grpc("status:7:no"), "200 grpc=7", expected);
    let expected = "rpc denied 200 PERMISSION_DENIED/headers";
    table.row(order, "denied, trailers-only", grpc("trailers-only:7:no"), "200 grpc=7", expected);
    let leaving = grpc("hang").leave(LeaveAt::Bytes(5));
    table.row(order, "client leaves within the stream", leaving, "200 left", "rpc aborted 200 UNKNOWN/reset by client");
}
