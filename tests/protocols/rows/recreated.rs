//! Requests that Envoy sends elsewhere by itself: one exchange, one record.

use serde_json::json;

use crate::order::Order;
use crate::row::Table;
use crate::traffic::{Call, Then, Wire, get};

pub fn add(table: &mut Table) {
    let policy = json!({"redirect_response_codes": [302, 303], "max_internal_redirects": 2});
    let route = json!({"match": {"prefix": "/"},
        "route": {"cluster": "demo_http", "timeout": "0s", "internal_redirect_policy": policy}});
    let follows = ("HTTP/1.1", table.order(Order::http(&["audit"]).route(route)));
    let leading = |to: &str| get(Wire::Http1, "/first{row}").answered(302, &location(to), "", Then::End);
    let first = |row: &mut crate::row::Row| {
        row.is("audit.action", "GET /first{row}").is("url.path", "/first{row}");
    };

    first(table.row(
        follows,
        "302 that Envoy follows to a 200",
        leading("http://app.test/second{row}"),
        "200",
        "http success 200",
    ));
    let refused = leading("http://app.test/second{row}").answered_at("/second{row}", 403, &[], "no", Then::End);
    first(table.row(follows, "302 that Envoy follows to a 403", refused, "403", "http denied 403"));
    let looping = leading("http://app.test/second{row}").answered_at(
        "/second{row}",
        302,
        &location("http://app.test/third{row}"),
        "",
        Then::End,
    );
    let looping = looping.answered_at("/third{row}", 302, &location("http://app.test/fourth{row}"), "", Then::End);
    first(table.row(follows, "302 once more than Envoy follows", looping, "302", "http success 302"));
    let posted = Call::new(Wire::Http1, "POST", "/first{row}").body("x");
    let posted = posted.answered(303, &location("http://app.test/second{row}"), "", Then::End);
    table
        .row(follows, "303 after POST that Envoy follows", posted, "200", "http success 200")
        .is("http.request.method", "POST")
        .is("audit.action", "POST /first{row}");
    let cut = leading("http://app.test/second{row}").answered_at("/second{row}", 200, &[], "some", Then::Break);
    let cut = table.row(
        follows,
        "302 that Envoy follows to a broken answer",
        cut,
        "200 broken",
        "http aborted 200 by upstream",
    );
    first(cut);

    let plain = ("HTTP/1.1", table.order(Order::http(&["audit"])));
    first(table.row(
        plain,
        "302 that the client gets",
        leading("http://app.test/second{row}"),
        "302",
        "http success 302",
    ));
}

/// Envoy follows absolute URLs only.
fn location(path: &str) -> [(&'static str, &str); 1] {
    [("location", path)]
}
