//! WebSocket, CONNECT and CONNECT-UDP: complete when accepted, however the tunnel ends.

use serde_json::json;

use crate::client::TARGET;
use crate::order::Order;
use crate::row::{Row, Table};
use crate::traffic::{Dig, Ender, Kind};

/// Data for a CONNECT to the upstream's HTTP/1.1 server, which keeps its side open or closes it
/// afterwards.
const KEPT: &str = "GET /inside HTTP/1.1\r\nhost: a\r\n\r\n";
const CLOSED: &str = "GET /inside HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

pub fn add(table: &mut Table) {
    websocket(table);
    connect(table);
    let upgrades = json!({"upgrade_configs": [{"upgrade_type": "connect-udp"}]});
    let order = (
        "CONNECT-UDP",
        table.order(Order::http(&["audit"]).manager(upgrades)),
    );

    for (ending, client, ender, script, expected) in ENDINGS {
        let dig = dig(Kind::ConnectUdp, script, "ping", ender);
        let row = table.row(
            order,
            ending,
            dig,
            client,
            &format!("http success 101{expected}"),
        );
        targets(row, "CONNECT-UDP");
    }
}

/// Ending, the client's result, the side that ends it, the upstream's script, and the expected
/// record.
const ENDINGS: [(&str, &str, Ender, &str, &str); 4] = [
    (
        "client closes in order",
        "101",
        Ender::ClientFinishes,
        "echo",
        " by client",
    ),
    (
        "client breaks the connection",
        "101 left",
        Ender::ClientResets,
        "echo",
        " by client",
    ),
    (
        "upstream closes in order",
        "101",
        Ender::Other,
        "close",
        " by upstream",
    ),
    (
        "upstream breaks the connection",
        "101",
        Ender::Other,
        "reset",
        " by upstream",
    ),
];

fn dig(kind: Kind, script: &'static str, sends: &'static str, ender: Ender) -> Dig {
    Dig {
        kind,
        headers: vec![("x-demo-tunnel", script)],
        sends,
        ender,
    }
}

fn websocket(table: &mut Table) {
    let upgrades = json!({"upgrade_configs": [{"upgrade_type": "websocket"}],
        "http2_protocol_options": {"allow_connect": true}});
    let order = table.order(Order::http(&["audit"]).manager(upgrades.clone()));

    for (ending, client, ender, script, expected) in ENDINGS {
        let expected = format!("http success 101{expected}");
        table.row(
            ("WebSocket", order),
            ending,
            dig(Kind::WebSocket, script, "ping", ender),
            client,
            &expected,
        );
        // Envoy does not pass END_STREAM of an HTTP/2 client on to an HTTP/1.1 upstream: the tunnel
        // would stay open.
        if ender != Ender::ClientFinishes {
            let client = client.replace("101", "200").leak();
            let dig = dig(Kind::WebSocketHttp2, script, "ping", ender);
            table.row(
                ("WebSocket over HTTP/2", order),
                ending,
                dig,
                client,
                &expected,
            );
        }
    }

    let mut limited = upgrades.clone();
    limited["stream_idle_timeout"] = json!("1s");

    let idle = table.order(Order::http(&["audit"]).manager(limited));
    let waiting = dig(Kind::WebSocket, "echo", "ping", Ender::Other);
    table.row(
        ("WebSocket", idle),
        "idle timeout",
        waiting,
        "101",
        "http success 101 by timeout",
    );

    let mut refused = dig(Kind::WebSocket, "echo", "ping", Ender::Other);
    refused.headers = vec![("x-demo-status", "403")];
    table.row(
        ("WebSocket", order),
        "refused by the upstream",
        refused.clone(),
        "403",
        "http denied 403",
    );

    let rbac = table.order(Order::http(&["audit", "rbac"]).manager(upgrades));
    table.row(
        ("WebSocket", rbac),
        "refused after",
        refused,
        "403",
        "http denied 403",
    );
}

fn connect(table: &mut Table) {
    let options = json!({"upgrade_configs": [{"upgrade_type": "CONNECT"}],
        "http2_protocol_options": {"allow_connect": true}});

    let route = |cluster| {
        json!({"match": {"connect_matcher": {}}, "route": {"cluster": cluster,
            "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]}})
    };
    let order = |filters, cluster| {
        Order::http(filters)
            .manager(options.clone())
            .route(route(cluster))
    };
    let open = table.order(order(&["audit"], "demo_http"));

    for (kind, protocol) in [
        (Kind::Connect, "CONNECT"),
        (Kind::ConnectHttp2, "CONNECT over HTTP/2"),
    ] {
        let closing = dig(kind, "", KEPT, Ender::ClientFinishes);
        let by = if kind == Kind::Connect {
            " by client"
        } else {
            ""
        };
        let row = table.row(
            (protocol, open),
            "client closes in order",
            closing,
            "200",
            &format!("http success 200{by}"),
        );
        targets(row, "CONNECT");

        let row = table.row(
            (protocol, open),
            "upstream closes in order",
            dig(kind, "", CLOSED, Ender::Other),
            "200",
            "http success 200",
        );
        targets(row, "CONNECT");
    }

    let asking = dig(Kind::Connect, "", KEPT, Ender::Other);
    let dead = table.order(order(&["audit"], "dead"));
    targets(
        table.row(
            ("CONNECT", dead),
            "nothing listens upstream",
            asking.clone(),
            "503",
            "http failure 503",
        ),
        "CONNECT",
    );

    for (filters, ending) in [
        (&["rbac", "audit"], "refused before"),
        (&["audit", "rbac"], "refused after"),
    ] {
        let order = table.order(order(filters, "demo_http"));
        targets(
            table.row(
                ("CONNECT", order),
                ending,
                asking.clone(),
                "403",
                "http denied 403",
            ),
            "CONNECT",
        );
    }
}

/// The record names the target.
fn targets(row: &mut Row, method: &str) {
    row.is("audit.action", format!("{method} {TARGET}"));
    row.is("server.address", "target.test")
        .is("server.port", "4443");
}
