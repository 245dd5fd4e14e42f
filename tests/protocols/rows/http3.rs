//! HTTP/3 over QUIC.

use crate::order::Order;
use crate::row::Table;
use crate::traffic::{Call, LeaveAt, Then, Wire, get, grpc_over};

pub fn add(table: &mut Table) {
    let order = ("HTTP/3", table.order(Order::http(&["audit"]).http3()));
    table
        .row(
            order,
            "200",
            get(Wire::Http3, "/a"),
            "200",
            "http success 200",
        )
        .is("network.protocol.version", "3");

    let post = Call::new(Wire::Http3, "POST", "/a")
        .body("x")
        .header("x-demo-status", "403");
    table.row(order, "403", post, "403", "http denied 403");

    let cut = get(Wire::Http3, "/cut{row}").answered(200, &[], "some", Then::Break);
    table.row(
        order,
        "upstream breaks off within the body",
        cut,
        "200 broken",
        "http aborted 200 by upstream",
    );
    left(table, order);
    by_envoy(table);
    grpc(table);
}

fn left(table: &mut Table, order: (&'static str, usize)) {
    let stuck = get(Wire::Http3, "/stuck{row}")
        .answered(200, &[], "some", Then::Silence)
        .leave(LeaveAt::Bytes(1));
    let gone = stuck.clone().hang_up();

    table.row(
        order,
        "client resets within the body",
        stuck,
        "200 left",
        "http success 200 by client",
    );

    table.row(
        order,
        "client closes within the body",
        gone,
        "200 left",
        "http success 200 by client",
    );

    let late = get(Wire::Http3, "/a")
        .header("x-demo-delay-ms", "60000")
        .leave(LeaveAt::BeforeAnswer);
    let gone = late.clone().hang_up();

    table.row(
        order,
        "client resets before the answer",
        late,
        "left",
        "http aborted by client",
    );

    table.row(
        order,
        "client closes before the answer",
        gone,
        "left",
        "http aborted by client",
    );
}

fn by_envoy(table: &mut Table) {
    let limited = table.order(Order::http(&["audit"]).http3().limited());
    let stuck = get(Wire::Http3, "/stuck{row}").answered(200, &[], "some", Then::Silence);
    let (ending, expected) = (
        "max_stream_duration within the body",
        "http aborted 200 by timeout",
    );
    table.row(("HTTP/3", limited), ending, stuck, "200 broken", expected);

    let dead = table.order(Order::dead(&["audit"]).http3());
    table.row(
        ("HTTP/3", dead),
        "nothing listens upstream",
        get(Wire::Http3, "/a"),
        "503",
        "http failure 503",
    );

    let after = table.order(Order::http(&["audit", "rbac"]).http3());
    table.row(
        ("HTTP/3", after),
        "refused after",
        get(Wire::Http3, "/a"),
        "403",
        "http denied 403",
    );

    // After the delay the request is complete. Before that, Envoy calls filters as over TCP.
    let after = table.order(Order::http(&["audit", "fault (delayed)"]).http3());
    let ending = "refused after, when the request is complete";
    table.row(
        ("HTTP/3", after),
        ending,
        get(Wire::Http3, "/a"),
        "503",
        "http failure 503",
    );

    let before = table.order(Order::http(&["fault (delayed)", "audit"]).http3());
    let ending = "refused before, when the request is complete";
    table.row(
        ("HTTP/3", before),
        ending,
        get(Wire::Http3, "/a"),
        "503",
        "none",
    );
}

fn grpc(table: &mut Table) {
    let order = (
        "gRPC over HTTP/3",
        table.order(Order::grpc(&["audit"]).http3()),
    );
    let call = |script| grpc_over(Wire::Http3, script);

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
            "trailers-only:7:no",
            "200 grpc=7",
            "rpc denied 200 PERMISSION_DENIED/headers",
        ),
    ] {
        table.row(order, ending, call(script), client, expected);
    }

    let leaving = call("hang").leave(LeaveAt::Bytes(5));
    let gone = leaving.clone().hang_up();
    let expected = "rpc aborted 200 UNKNOWN/reset by client";
    table.row(
        order,
        "client resets within the stream",
        leaving,
        "200 left",
        expected,
    );

    table.row(
        order,
        "client closes within the stream",
        gone,
        "200 left",
        expected,
    );
}
