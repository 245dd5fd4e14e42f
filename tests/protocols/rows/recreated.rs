//! Requests that Envoy redirects internally: one exchange, one record.

use serde_json::json;

use crate::order::Order;
use crate::row::{Row, Table};
use crate::traffic::{Call, Then, Wire, get};

/// Envoy follows absolute URLs only.
const SECOND: &str = "http://app.test/second{row}";
const THIRD: &str = "http://app.test/third{row}";
const FOURTH: &str = "http://app.test/fourth{row}";

pub fn add(table: &mut Table) {
    let policy = json!({"redirect_response_codes": [302, 303], "max_internal_redirects": 2});
    let target =
        json!({"cluster": "demo_http", "timeout": "0s", "internal_redirect_policy": policy});
    let route = json!({"match": {"prefix": "/"}, "route": target});
    let order = (
        "HTTP/1.1",
        table.order(Order::http(&["audit"]).route(route)),
    );
    followed(table, order);

    let posted = Call::new(Wire::Http1, "POST", "/first{row}").body("x");
    let posted = posted.answered(303, &location(SECOND), "", Then::End);
    table
        .row(
            order,
            "303 after POST that Envoy follows",
            posted,
            "200",
            "http success 200",
        )
        .is("http.request.method", "POST")
        .is("audit.action", "POST /first{row}");

    let plain = ("HTTP/1.1", table.order(Order::http(&["audit"])));
    is_first(table.row(
        plain,
        "302 that the client gets",
        leading(),
        "302",
        "http success 302",
    ));
}

fn followed(table: &mut Table, order: (&'static str, usize)) {
    is_first(table.row(
        order,
        "302 that Envoy follows to a 200",
        leading(),
        "200",
        "http success 200",
    ));

    let refused = leading().answered_at("/second{row}", 403, &[], "no", Then::End);
    is_first(table.row(
        order,
        "302 that Envoy follows to a 403",
        refused,
        "403",
        "http denied 403",
    ));

    let looping = leading().answered_at("/second{row}", 302, &location(THIRD), "", Then::End);
    let looping = looping.answered_at("/third{row}", 302, &location(FOURTH), "", Then::End);
    is_first(table.row(
        order,
        "302 once more than Envoy follows",
        looping,
        "302",
        "http success 302",
    ));

    let (ending, expected) = (
        "302 that Envoy follows to a broken answer",
        "http aborted 200 by upstream",
    );
    let cut = leading().answered_at("/second{row}", 200, &[], "some", Then::Break);
    is_first(table.row(order, ending, cut, "200 broken", expected));
}

/// A request that is redirected to the second path.
fn leading() -> Call {
    get(Wire::Http1, "/first{row}").answered(302, &location(SECOND), "", Then::End)
}

fn location(url: &str) -> [(&'static str, &str); 1] {
    [("location", url)]
}

/// The record is that of the first request.
fn is_first(row: &mut Row) {
    row.is("audit.action", "GET /first{row}")
        .is("url.path", "/first{row}");
}
