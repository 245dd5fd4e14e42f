//! JSON that Envoy translates to gRPC.

use crate::order::Order;
use crate::row::Table;
use crate::traffic::{Call, LeaveAt, Wire, rest, rest_stream};

const TRANSCODER: &str = "grpc_json_transcoder";
const CONVERTING: &str = "grpc_json_transcoder (convert_grpc_status)";
const PROTOCOL: &str = "JSON";

pub fn add(table: &mut Table) {
    for filters in [[TRANSCODER, "audit"], ["audit", TRANSCODER]] {
        let order = (PROTOCOL, table.order(Order::grpc(&filters)));
        statuses(
            table,
            order,
            "200 grpc=0",
            ["401 grpc=16", "404 grpc=5", "429 grpc=8"],
        );

        let trailers_only = rest("trailers-only:7:no");
        let expected = "rpc denied 403 PERMISSION_DENIED/headers transcoded";
        table.row(
            order,
            "denied, trailers-only",
            trailers_only,
            "403 grpc=7",
            expected,
        );
        streams(table, order);
    }

    for filters in [[CONVERTING, "audit"], ["audit", CONVERTING]] {
        let order = (PROTOCOL, table.order(Order::grpc(&filters)));
        statuses(table, order, "200 grpc=0", ["401", "404", "429"]);
    }

    for filters in [[TRANSCODER, "audit"], ["audit", TRANSCODER]] {
        by_envoy(table, filters);
    }
    refused(table);
}

/// Envoy's local replies are gRPC only if the call was gRPC when it passed the audit filter.
fn by_envoy(table: &mut Table, filters: [&'static str; 2]) {
    let is_grpc = filters[0] == TRANSCODER;
    let expected = |rpc, http| if is_grpc { rpc } else { http };
    let dead = (PROTOCOL, table.order(Order::dead(&filters)));
    let unavailable = expected(
        "rpc failure 503 UNAVAILABLE/http transcoded",
        "http failure 503",
    );

    table.row(
        dead,
        "nothing listens upstream",
        rest("unary"),
        "503",
        unavailable,
    );

    let bad = Call::new(Wire::Http1, "POST", "/v1/users/ann/password")
        .header("content-type", "application/json");
    let order = (PROTOCOL, table.order(Order::grpc(&filters)));
    let invalid = expected(
        "rpc failure 400 INVALID_ARGUMENT/http transcoded",
        "http failure 400",
    );

    table.row(
        order,
        "bad JSON, which the transcoder refuses",
        bad.body("{not json"),
        "400",
        invalid,
    );

    let limited = (PROTOCOL, table.order(Order::grpc(&filters).limited()));
    let cut = "rpc aborted 200 UNKNOWN/reset transcoded by timeout";
    table.row(
        limited,
        "max_stream_duration within the stream",
        rest_stream("hang"),
        "200 broken",
        cut,
    );
}

fn refused(table: &mut Table) {
    for filters in [["rbac", TRANSCODER, "audit"], ["audit", "rbac", TRANSCODER]] {
        let order = (PROTOCOL, table.order(Order::grpc(&filters)));
        table.row(
            order,
            "refused before it is gRPC",
            rest("unary"),
            "403",
            "http denied 403",
        );
    }

    let order = (
        PROTOCOL,
        table.order(Order::grpc(&[TRANSCODER, "audit", "rbac"])),
    );
    let expected = "rpc denied 403 PERMISSION_DENIED/http transcoded";
    table.row(order, "refused after", rest("unary"), "403", expected);
}

fn statuses(
    table: &mut Table,
    order: (&'static str, usize),
    ok: &'static str,
    clients: [&'static str; 3],
) {
    let [unauthenticated, not_found, exhausted] = clients;

    for (ending, script, client, record) in [
        ("OK", "unary", ok, "success 200 OK"),
        (
            "denied",
            "status:16:who",
            unauthenticated,
            "denied 401 UNAUTHENTICATED",
        ),
        (
            "failed",
            "status:5:none",
            not_found,
            "failure 404 NOT_FOUND",
        ),
        (
            "exhausted",
            "status:8:full",
            exhausted,
            "failure 429 RESOURCE_EXHAUSTED",
        ),
    ] {
        let row = table.row(
            order,
            ending,
            rest(script),
            client,
            &format!("rpc {record}/trailers transcoded"),
        );
        row.is("rpc.method", "demo.Accounts/ChangePassword");
    }
}

fn streams(table: &mut Table, order: (&'static str, usize)) {
    for (ending, script, record) in [
        (
            "stream OK",
            "stream:2",
            "success 200 OK/trailers transcoded",
        ),
        (
            "stream denied after messages",
            "stream-error:2:7:no",
            "denied 200 PERMISSION_DENIED/trailers transcoded",
        ),
        (
            "stream, upstream breaks off",
            "reset",
            "aborted 200 UNKNOWN/reset transcoded by upstream",
        ),
    ] {
        let client = if script == "reset" {
            "200 broken"
        } else {
            "200"
        };
        let row = table.row(
            order,
            ending,
            rest_stream(script),
            client,
            &format!("rpc {record}"),
        );
        row.is("rpc.method", "demo.Accounts/List");
    }

    let leaving = rest_stream("hang").leave(LeaveAt::Bytes(1));
    let expected = "rpc aborted 200 UNKNOWN/reset transcoded by client";
    table.row(
        order,
        "stream, client leaves",
        leaving,
        "200 left",
        expected,
    );
}
