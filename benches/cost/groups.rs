//! The rows, in groups that are measured in sequence. Only rows of one group are compared.

use serde_json::{Value, json};
use testkit::bench::audit::{self, MAX_DELAY, USER_HEADER, USER_JSON};
use testkit::bench::requests::{Requests, Traffic};
use testkit::bench::row::{Delivery, Row};

use super::own;

/// Numbers of rules, none of which matches.
const RULES: [usize; 3] = [1, 10, 100];
/// Records per batch.
const BATCHES: [usize; 4] = [1, 10, 100, 1000];
/// Enough for the longest batch.
const BATCH_BYTES: u32 = 4 << 20;

/// Rows to compare with each other.
pub struct Group {
    pub name: &'static str,
    /// For the help.
    pub about: &'static str,
    /// Makes the rows, and builds the artefacts that they run.
    pub rows: fn() -> Vec<Row>,
}

pub const ALL: [Group; 6] = [
    Group {
        name: "plain",
        about: "requests without control headers, answered by Envoy",
        rows: plain,
    },
    Group {
        name: "http",
        about: "tracked requests, answered by Envoy; with Envoy's own features",
        rows: http,
    },
    Group {
        name: "upstream",
        about: "the same, answered by an upstream over HTTP/1.1, and HTTP/2 end to end",
        rows: upstream,
    },
    Group {
        name: "grpc",
        about: "tracked gRPC calls",
        rows: grpc,
    },
    Group {
        name: "bare",
        about: "tracked requests and calls: the host calls alone, step by step",
        rows: bare,
    },
    Group {
        name: "delivery",
        about: "tracked requests, with batches of 1 to 1000 records",
        rows: delivery,
    },
];

fn plain() -> Vec<Row> {
    let [other, check] = [Traffic::Untracked, Traffic::Check].map(Requests::new);
    let user = ", user of header";
    let mut rows = vec![
        Row::no_filter(other),
        Row::peer_note(other),
        Row::do_nothing(other),
    ];

    rows.extend(RULES.map(|count| Row::rules(count, other)));
    rows.extend(RULES.map(|count| Row::lean_rules(count, other)));

    rows.push(Row::by_route(other, &audit::usual(USER_JSON)).delivering(Delivery::Nothing));
    rows.push(Row::audit(
        ", user of JSON",
        check,
        &audit::usual(USER_JSON),
    ));
    rows.push(Row::audit(user, check, &audit::usual(USER_HEADER)));
    rows.push(Row::lean(user, check, &audit::usual(USER_HEADER)));

    rows
}

fn http() -> Vec<Row> {
    let requests = Requests::new(Traffic::Tracked);
    let mut rows = recorded(requests);
    rows.push(Row::audit(", hmac", requests, &audit::hmac()));
    rows.push(Row::by_route(requests, &audit::usual(USER_HEADER)));
    rows.extend(own::rows(requests));
    rows
}

fn upstream() -> Vec<Row> {
    let of = |traffic| {
        let requests = Requests::new(traffic);
        let mut rows = recorded(requests);
        rows.extend(own::main_rows(requests));
        rows
    };
    [Traffic::TrackedUpstream, Traffic::TrackedHttp2]
        .into_iter()
        .flat_map(of)
        .collect()
}

fn grpc() -> Vec<Row> {
    let requests = Requests::new(Traffic::TrackedGrpc);
    let mut rows = recorded(requests);
    rows.push(Row::audit(", hmac", requests, &audit::hmac()));
    rows
}

/// The host calls alone, one step more per row; then the filter without and with a record.
fn bare() -> Vec<Row> {
    [Traffic::Tracked, Traffic::TrackedGrpc]
        .map(Requests::new)
        .into_iter()
        .flat_map(bare_of)
        .collect()
}

fn bare_of(requests: Requests) -> Vec<Row> {
    let steps = [
        "callbacks",
        "+ request's headers",
        "+ three removals",
        "+ connection, clock",
        "+ response, details",
    ];

    let mut rows = vec![Row::no_filter(requests), Row::do_nothing(requests)];
    rows.extend(
        (0..)
            .zip(steps)
            .map(|(step, name)| Row::bare_calls(name, requests, step)),
    );

    let excluded = Row::lean(", excluded by its rule", requests, &audit::excluded());
    rows.push(excluded.delivering(Delivery::Nothing));
    rows.push(Row::lean("", requests, &audit::usual(USER_HEADER)));
    rows
}

/// The rows for every kind of tracked request.
fn recorded(requests: Requests) -> Vec<Row> {
    let usual = audit::usual(USER_HEADER);
    let mut rows = vec![
        Row::no_filter(requests),
        Row::do_nothing(requests),
        Row::audit("", requests, &usual),
    ];

    rows.push(Row::lean("", requests, &usual));
    rows.extend(Row::other_build(requests, &usual));
    rows
}

fn delivery() -> Vec<Row> {
    let requests = Requests::new(Traffic::Tracked);
    let batch = |count: usize| {
        let name = format!(", batches of {count}");
        Row::audit(&name, requests, &batches_of(count))
    };
    std::iter::once(Row::no_filter(requests))
        .chain(BATCHES.map(batch))
        .collect()
}

fn batches_of(count: usize) -> Value {
    let mut configuration = audit::usual(USER_HEADER);
    configuration["batch"] =
        json!({"max_records": count, "max_bytes": BATCH_BYTES, "max_delay": MAX_DELAY});
    configuration
}
