//! Refusals with a status that another part of Envoy rewrites: the cause decides, not the final
//! status.

use serde_json::json;

use crate::filters::rewritten;
use crate::order::Order;
use crate::row::Table;
use crate::traffic::{Wire, get, grpc};

const DETAILS: &str = "audit.response.code_details";

pub fn add(table: &mut Table) {
    let to_200 = json!({"local_reply_config": rewritten(403, 200)});

    for (filters, ending) in [
        (
            ["rbac", "audit"],
            "refused before, local_reply_config makes 403 a 200",
        ),
        (
            ["audit", "rbac"],
            "refused after, local_reply_config makes 403 a 200",
        ),
    ] {
        let order = table.order(Order::http(&filters).manager(to_200.clone()));
        table
            .row(
                ("HTTP/1.1", order),
                ending,
                get(Wire::Http1, "/a"),
                "200",
                "http denied 200",
            )
            .has(DETAILS);

        table
            .row(
                ("gRPC", order),
                ending,
                grpc("unary"),
                "200 grpc=2",
                "rpc denied 200 UNKNOWN/headers",
            )
            .has(DETAILS);
    }

    let unavailable = json!({"local_reply_config": rewritten(503, 200)});
    let dead = table.order(Order::dead(&["audit"]).manager(unavailable));
    table
        .row(
            ("HTTP/1.1", dead),
            "nothing listens upstream, local_reply_config makes 503 a 200",
            get(Wire::Http1, "/a"),
            "200",
            "http failure 200",
        )
        .is("audit.response.flags", "UF")
        .has(DETAILS);

    let order = table.order(Order::http(&["audit"]).manager(to_200));
    let own = get(Wire::Http1, "/a").header("x-demo-status", "403");
    table.row(
        ("HTTP/1.1", order),
        "403 of the upstream, which local_reply_config leaves",
        own,
        "403",
        "http denied 403",
    );
    custom_response(table);
}

fn custom_response(table: &mut Table) {
    let refused = get(Wire::Http1, "/a").header("x-demo-status", "403");
    let ending = "403 of the upstream, custom_response makes it a 200";
    for filters in [["custom_response", "audit"], ["audit", "custom_response"]] {
        let order = table.order(Order::http(&filters));
        table.row(
            ("HTTP/1.1", order),
            ending,
            refused.clone(),
            "200",
            "http failure 200",
        );
    }

    let page =
        get(Wire::Http1, "/redirected{row}").answered(403, &[], "no", crate::traffic::Then::End);

    for filters in [
        ["custom_response (redirect)", "audit"],
        ["audit", "custom_response (redirect)"],
    ] {
        let order = table.order(Order::http(&filters));
        let ending = "403 of the upstream, custom_response sends a page instead";
        table.row(
            ("HTTP/1.1", order),
            ending,
            page.clone(),
            "403",
            "http denied 403",
        );
    }
}
