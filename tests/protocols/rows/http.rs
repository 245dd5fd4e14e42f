//! Plain HTTP.

use serde_json::json;

use crate::order::Order;
use crate::row::Table;
use crate::traffic::{Call, LeaveAt, Then, Wire, get};

const LONG: usize = 200_000;

pub fn add(table: &mut Table) {
    let plain = table.order(Order::http(&["audit"]));
    let http1 = ("HTTP/1.1", plain);

    for (status, client, expected) in [
        ("200", "200", "http success 200"),
        ("401", "401", "http denied 401"),
        ("403", "403", "http denied 403"),
        ("407", "407", "http denied 407"),
        ("404", "404", "http failure 404"),
        ("500", "500", "http failure 500"),
    ] {
        table.row(
            http1,
            client,
            get(Wire::Http1, "/a").header("x-demo-status", status),
            client,
            expected,
        );
    }

    let lying = Call::new(Wire::Http1, "POST", "/a").header("content-type", "application/grpc");
    let lying = lying.header("x-demo-body", "{}").body("x");
    table.row(
        http1,
        "200 JSON, request says application/grpc",
        lying,
        "200",
        "http success 200",
    );

    for (protocol, wire) in [("HTTP/1.1", Wire::Http1), ("HTTP/2", Wire::Http2)] {
        let late = get(wire, "/a")
            .header("x-demo-delay-ms", "60000")
            .leave(LeaveAt::BeforeAnswer);
        table.row(
            (protocol, plain),
            "client leaves before the answer",
            late,
            "left",
            "http aborted by client",
        );

        let long = get(wire, "/long{row}")
            .window(1000)
            .leave(LeaveAt::Bytes(1));
        let long = long.answered(200, &[], vec![b'x'; LONG], Then::Silence);
        table.row(
            (protocol, plain),
            "client leaves within the body",
            long,
            "200 left",
            "http success 200 by client",
        );
    }

    let refused = get(Wire::Http1, "/long{row}").leave(LeaveAt::Bytes(1));
    let refused = refused.answered(403, &[], "no", Then::Silence);
    table.row(
        http1,
        "client leaves within the body of a 403",
        refused,
        "403 left",
        "http denied 403 by client",
    );
    broken_off(table, http1);
    by_envoy(table);
}

fn broken_off(table: &mut Table, http1: (&'static str, usize)) {
    let reset = |script| get(Wire::Http1, "/a").header("x-demo-reset", script);
    table.row(
        http1,
        "upstream breaks off before the answer",
        reset("before"),
        "503",
        "http failure 503",
    );

    let cut = get(Wire::Http1, "/cut{row}");
    let chunked = cut.clone().answered(200, &[], "some", Then::Break);
    table.row(
        http1,
        "upstream breaks off within the body",
        chunked,
        "200 broken",
        "http aborted 200 by upstream",
    );

    let short = cut.answered(200, &[("content-length", "10")], "some", Then::Break);
    table.row(
        http1,
        "upstream sends less than its length",
        short,
        "200 broken",
        "http aborted 200 by upstream",
    );
}

fn by_envoy(table: &mut Table) {
    let timeout =
        json!({"match": {"prefix": "/"}, "route": {"cluster": "demo_http", "timeout": "1s"}});
    let order = (
        "HTTP/1.1",
        table.order(Order::http(&["audit"]).route(timeout)),
    );
    let late = get(Wire::Http1, "/a").header("x-demo-delay-ms", "60000");

    table.row(
        order,
        "route timeout before the answer",
        late,
        "504",
        "http failure 504",
    );

    let stuck = get(Wire::Http1, "/stuck{row}").answered(200, &[], "some", Then::Silence);
    table.row(
        order,
        "route timeout within the body",
        stuck.clone(),
        "200 broken",
        "http aborted 200 by timeout",
    );

    let order = ("HTTP/1.1", table.order(Order::http(&["audit"]).limited()));
    table.row(
        order,
        "max_stream_duration within the body",
        stuck.clone(),
        "200 broken",
        "http aborted 200 by timeout",
    );

    let idle = table.order(Order::http(&["audit"]).manager(json!({"stream_idle_timeout": "1s"})));
    table.row(
        ("HTTP/1.1", idle),
        "idle timeout within the body",
        stuck,
        "200 broken",
        "http aborted 200 by timeout",
    );

    let dead = table.order(Order::dead(&["audit"]));
    table.row(
        ("HTTP/1.1", dead),
        "nothing listens upstream",
        get(Wire::Http1, "/a"),
        "503",
        "http failure 503",
    );

    let nowhere = json!({"match": {"path": "/nowhere"}, "route": {"cluster": "unknown"}});
    let unchecked = json!({"route_config": {"validate_clusters": false}});
    let nowhere = table.order(Order::http(&["audit"]).route(nowhere).manager(unchecked));
    table.row(
        ("HTTP/1.1", nowhere),
        "no such cluster",
        get(Wire::Http1, "/nowhere"),
        "503",
        "http failure 503",
    );
    refused(table);
}

fn refused(table: &mut Table) {
    for (filters, ending) in [
        (["rbac", "audit"], "refused before"),
        (["audit", "rbac"], "refused after"),
    ] {
        let order = table.order(Order::http(&filters));
        table.row(
            ("HTTP/1.1", order),
            ending,
            get(Wire::Http1, "/a"),
            "403",
            "http denied 403",
        );
    }

    for (filters, ending) in [
        (["fault", "audit"], "aborted by a fault before"),
        (["audit", "fault"], "aborted by a fault after"),
    ] {
        let order = table.order(Order::http(&filters));
        table.row(
            ("HTTP/1.1", order),
            ending,
            get(Wire::Http1, "/a"),
            "503",
            "http failure 503",
        );
    }
}
