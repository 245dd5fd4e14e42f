//! gRPC-Web: translated by Envoy before or after the audit filter, or used by the upstream itself.

use base64ct::{Base64, Encoding};

use crate::order::Order;
use crate::row::Table;
use crate::traffic::{Call, LeaveAt, MESSAGE, METHOD, Then, grpc, grpc_web, grpc_web_text};

/// Makes a call from the upstream's script.
type Make = fn(&str) -> Call;

const KINDS: [(&str, Make); 2] = [("gRPC-Web", grpc_web), ("gRPC-Web text", grpc_web_text)];

pub fn add(table: &mut Table) {
    for filters in [["grpc_web", "audit"], ["audit", "grpc_web"]] {
        let order = table.order(Order::grpc(&filters));
        for (protocol, call) in KINDS {
            translated(table, (protocol, order), call, "trailers");
        }

        let expected = "rpc denied 200 PERMISSION_DENIED/trailers";
        table.row(
            ("gRPC", order),
            "denied in trailers",
            grpc("status:7:no"),
            "200 grpc=7",
            expected,
        );
    }

    let order = table.order(Order::grpc(&["grpc_web", "audit"]));
    let mut bare = grpc_web("unary");
    bare.message.headers = [
        ("content-type", "application/grpc-web+proto"),
        ("x-demo-grpc", "unary"),
    ]
    .into();

    table.row(
        ("gRPC-Web", order),
        "OK, without x-grpc-web",
        bare,
        "200 grpc=0",
        "rpc success 200 OK/trailers grpc-web",
    );
    refused(table);
    by_envoy(table);
    own(table);
}

fn translated(table: &mut Table, order: (&'static str, usize), call: Make, source: &str) {
    for (ending, script, client, record) in [
        (
            "OK",
            "unary",
            "200 grpc=0",
            format!("success 200 OK/{source}"),
        ),
        (
            "denied in trailers",
            "status:7:no",
            "200 grpc=7",
            format!("denied 200 PERMISSION_DENIED/{source}"),
        ),
        (
            "denied, trailers-only",
            "trailers-only:7:no",
            "200 grpc=7",
            "denied 200 PERMISSION_DENIED/headers".to_owned(),
        ),
        (
            "failed",
            "status:5:none",
            "200 grpc=5",
            format!("failure 200 NOT_FOUND/{source}"),
        ),
        (
            "stream that is denied",
            "stream-error:2:7:no",
            "200 grpc=7",
            format!("denied 200 PERMISSION_DENIED/{source}"),
        ),
        (
            "upstream breaks off",
            "reset",
            "200 broken",
            "aborted 200 UNKNOWN/reset".to_owned(),
        ),
    ] {
        let by = if script == "reset" {
            " by upstream"
        } else {
            ""
        };
        let row = table.row(
            order,
            ending,
            call(script),
            client,
            &format!("rpc {record} grpc-web{by}"),
        );
        row.is("rpc.method", &METHOD[1..]);

        if client == "200 grpc=7" {
            row.is("error.message", "no");
        }
    }

    let leaving = call("hang").leave(LeaveAt::Bytes(5));
    let expected = "rpc aborted 200 UNKNOWN/reset grpc-web by client";
    table.row(
        order,
        "client leaves within the stream",
        leaving,
        "200 left",
        expected,
    );
}

fn refused(table: &mut Table) {
    for (filters, ending, client, expected) in [
        (
            ["grpc_web", "rbac", "audit"],
            "refused before",
            "403 grpc=7",
            "rpc denied 403 PERMISSION_DENIED/headers grpc-web",
        ),
        (
            ["grpc_web", "audit", "rbac"],
            "refused after",
            "403 grpc=7",
            "rpc denied 403 PERMISSION_DENIED/headers grpc-web",
        ),
        (
            ["rbac", "audit", "grpc_web"],
            "refused before",
            "403",
            "rpc denied 403 PERMISSION_DENIED/http grpc-web",
        ),
        (
            ["audit", "rbac", "grpc_web"],
            "refused after",
            "403",
            "rpc denied 403 PERMISSION_DENIED/http grpc-web",
        ),
    ] {
        let order = ("gRPC-Web", table.order(Order::grpc(&filters)));
        table.row(order, ending, grpc_web("unary"), client, expected);
    }
}

fn by_envoy(table: &mut Table) {
    for filters in [["grpc_web", "audit"], ["audit", "grpc_web"]] {
        let order = ("gRPC-Web", table.order(Order::dead(&filters)));
        let expected = "rpc failure 503 UNAVAILABLE/headers grpc-web";
        table.row(
            order,
            "nothing listens upstream",
            grpc_web("unary"),
            "503 grpc=14",
            expected,
        );

        let order = ("gRPC-Web", table.order(Order::grpc(&filters).limited()));
        let expected = "rpc aborted 200 UNKNOWN/reset grpc-web by timeout";
        table.row(
            order,
            "max_stream_duration within the stream",
            grpc_web("hang"),
            "200 broken",
            expected,
        );
    }
}

/// The upstream uses gRPC-Web, and no filter of Envoy does.
fn own(table: &mut Table) {
    let order = table.order(Order::http(&["audit"]));

    for (ending, trailers, client, record) in [
        (
            "OK",
            "grpc-status:0\r\n",
            "200 grpc=0",
            "success 200 OK/trailers",
        ),
        (
            "denied",
            "grpc-status:7\r\ngrpc-message:no\r\n",
            "200 grpc=7",
            "denied 200 PERMISSION_DENIED/trailers",
        ),
        (
            "failed",
            "Grpc-Status: 5\r\n",
            "200",
            "failure 200 NOT_FOUND/trailers",
        ),
    ] {
        let expected = format!("rpc {record} grpc-web");
        let body = body(trailers);
        let answer = [("content-type", "application/grpc-web+proto")];
        let call = at_row(grpc_web("")).answered(200, &answer, body.clone(), Then::End);
        table.row(("gRPC-Web", order), ending, call, client, &expected);

        let answer = [("content-type", "application/grpc-web-text+proto")];
        let call = at_row(grpc_web_text("")).answered(
            200,
            &answer,
            Base64::encode_string(&body),
            Then::End,
        );
        table.row(("gRPC-Web text", order), ending, call, client, &expected);
    }

    let answer = [
        ("content-type", "application/grpc-web+proto"),
        ("grpc-status", "7"),
    ];
    let call = at_row(grpc_web("")).answered(200, &answer, "", Then::End);
    let expected = "rpc denied 200 PERMISSION_DENIED/headers grpc-web";

    table.row(
        ("gRPC-Web", order),
        "denied, trailers-only",
        call,
        "200 grpc=7",
        expected,
    );

    let cut = at_row(grpc_web("")).answered(
        200,
        &[("content-type", "application/grpc-web+proto")],
        MESSAGE.to_vec(),
        Then::End,
    );

    let expected = "rpc failure 200 UNKNOWN/unavailable grpc-web";
    table.row(
        ("gRPC-Web", order),
        "no status at all",
        cut,
        "200",
        expected,
    );
}

fn at_row(mut call: Call) -> Call {
    call.message.path = "/demo.Accounts/Own{row}".to_owned();
    call
}

/// One message, and the frame of trailers.
fn body(trailers: &str) -> Vec<u8> {
    let length = u32::try_from(trailers.len()).unwrap().to_be_bytes();
    [&MESSAGE[..], &[0x80], &length, trailers.as_bytes()].concat()
}
