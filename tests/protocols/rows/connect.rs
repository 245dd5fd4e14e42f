//! Connect: translated by Envoy before or after the audit filter, or used by the upstream itself.

use crate::order::Order;
use crate::row::Table;
use crate::traffic::{Call, LeaveAt, MESSAGE, Then, connect_get, connect_stream, connect_unary};

pub fn add(table: &mut Table) {
    let before = table.order(Order::grpc(&["connect_grpc_bridge", "audit"]));

    for (ending, script, client, record) in [
        ("OK", "unary", "200", "success 200 OK/trailers"),
        (
            "denied",
            "status:7:no",
            "403 connect=permission_denied",
            "denied 403 PERMISSION_DENIED/trailers",
        ),
        (
            "denied, trailers-only",
            "trailers-only:7:no",
            "403 connect=permission_denied",
            "denied 403 PERMISSION_DENIED/headers",
        ),
        (
            "failed",
            "status:5:none",
            "404 connect=not_found",
            "failure 404 NOT_FOUND/trailers",
        ),
    ] {
        unary(table, before, (ending, script, client), record);
    }

    let after = table.order(Order::grpc(&["audit", "connect_grpc_bridge"]));

    for (ending, script, client, record) in [
        ("OK", "unary", "200", "success 200 OK/http"),
        (
            "denied",
            "status:7:no",
            "403 connect=permission_denied",
            "denied 403 PERMISSION_DENIED/http",
        ),
        (
            "denied, trailers-only",
            "trailers-only:7:no",
            "403 connect=permission_denied",
            "denied 403 PERMISSION_DENIED/http",
        ),
        (
            "failed",
            "status:5:none",
            "404 connect=not_found",
            "failure 404 NOT_FOUND/http",
        ),
    ] {
        unary(table, after, (ending, script, client), record);
    }

    for order in [before, after] {
        streams(table, ("Connect stream", order), "trailers");
    }
    by_envoy(table);
    own(table);
}

fn by_envoy(table: &mut Table) {
    // After the bridge, only its translation of the answer shows that the client uses Connect.
    for (filters, dialect) in [
        (["connect_grpc_bridge", "audit"], ""),
        (["audit", "connect_grpc_bridge"], " connect"),
    ] {
        let dead = table.order(Order::dead(&filters));
        for (protocol, call) in [
            ("Connect", connect_unary("unary")),
            ("Connect stream", connect_stream("unary")),
        ] {
            let expected = format!("rpc failure 503 UNAVAILABLE/http{dialect}");
            table.row(
                (protocol, dead),
                "nothing listens upstream",
                call,
                "503",
                &expected,
            );
        }

        let order = (
            "Connect stream",
            table.order(Order::grpc(&filters).limited()),
        );
        let expected = "rpc aborted 200 UNKNOWN/reset connect by timeout";

        table.row(
            order,
            "max_stream_duration within the stream",
            connect_stream("hang"),
            "200 broken",
            expected,
        );
    }
}

fn unary(
    table: &mut Table,
    order: usize,
    (ending, script, client): (&'static str, &str, &'static str),
    record: &str,
) {
    let expected = format!("rpc {record} connect");
    for (protocol, call) in [
        ("Connect", connect_unary(script)),
        ("Connect GET", connect_get(script)),
    ] {
        let row = table.row((protocol, order), ending, call, client, &expected);
        row.is("rpc.method", "demo.Accounts/ChangePassword");
    }
}

fn streams(table: &mut Table, order: (&'static str, usize), source: &str) {
    for (ending, script, client, record) in [
        ("OK", "stream:2", "200", format!("success 200 OK/{source}")),
        (
            "denied after messages",
            "stream-error:2:7:no",
            "200 connect=permission_denied",
            format!("denied 200 PERMISSION_DENIED/{source}"),
        ),
        (
            "failed",
            "status:5:none",
            "200 connect=not_found",
            format!("failure 200 NOT_FOUND/{source}"),
        ),
    ] {
        table.row(
            order,
            ending,
            connect_stream(script),
            client,
            &format!("rpc {record} connect"),
        );
    }

    let expected = "rpc aborted 200 UNKNOWN/reset connect by upstream";
    table.row(
        order,
        "upstream breaks off",
        connect_stream("reset"),
        "200 broken",
        expected,
    );

    let leaving = connect_stream("hang").leave(LeaveAt::Bytes(5));
    let expected = "rpc aborted 200 UNKNOWN/reset connect by client";
    table.row(
        order,
        "client leaves within the stream",
        leaving,
        "200 left",
        expected,
    );
}

/// The upstream uses Connect, and no filter of Envoy does.
fn own(table: &mut Table) {
    let order = table.order(Order::http(&["audit"]));
    let unary = |status, body: &str, kind: &str| {
        at_row(connect_unary("")).answered(
            status,
            &[("content-type", kind)],
            body.to_owned(),
            Then::End,
        )
    };

    let error = |code: &str| format!(r#"{{"code":"{code}","message":"no"}}"#);
    let connect = ("Connect", order);
    table.row(
        connect,
        "OK",
        unary(200, "", "application/proto"),
        "200",
        "rpc success 200 OK/http connect",
    );

    let denied = unary(403, &error("permission_denied"), "application/json");
    let expected = "rpc denied 403 PERMISSION_DENIED/http connect";
    table
        .row(
            connect,
            "denied",
            denied,
            "403 connect=permission_denied",
            expected,
        )
        .is("error.message", "no");

    let failed = unary(400, &error("failed_precondition"), "application/json");
    let expected = "rpc failure 400 FAILED_PRECONDITION/http connect";
    table.row(
        connect,
        "failed",
        failed,
        "400 connect=failed_precondition",
        expected,
    );

    let proxy = unary(503, "no upstream", "text/plain");
    table.row(
        connect,
        "503 of something that speaks no Connect",
        proxy,
        "503",
        "http failure 503",
    );

    let stream = |end: &str| {
        let length = u32::try_from(end.len()).unwrap().to_be_bytes();
        let body = [&MESSAGE[..], &[2], &length, end.as_bytes()].concat();
        at_row(connect_stream("")).answered(
            200,
            &[("content-type", "application/connect+proto")],
            body,
            Then::End,
        )
    };
    let streams = ("Connect stream", order);

    table.row(
        streams,
        "OK",
        stream("{}"),
        "200",
        "rpc success 200 OK/trailers connect",
    );

    let denied = stream(r#"{"error":{"code":"permission_denied","message":"no"}}"#);
    let expected = "rpc denied 200 PERMISSION_DENIED/trailers connect";
    table.row(
        streams,
        "denied after messages",
        denied,
        "200 connect=permission_denied",
        expected,
    );

    let headless = at_row(connect_stream("")).answered(
        200,
        &[("content-type", "application/connect+proto")],
        MESSAGE.to_vec(),
        Then::End,
    );

    table.row(
        streams,
        "no status at all",
        headless,
        "200",
        "rpc failure 200 UNKNOWN/unavailable connect",
    );
}

fn at_row(mut call: Call) -> Call {
    call.message.path = "/demo.Accounts/Own{row}".to_owned();
    call
}
