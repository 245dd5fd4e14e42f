//! The rows, in groups that are measured in sequence. Only rows of one group are compared.

use serde_json::{Value, json};
use testkit::bench::artefacts::Build;
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
    /// Makes the rows, with those of the other builds, and builds the artefacts that they run.
    pub rows: fn(&[Build]) -> Vec<Row>,
}

pub const ALL: [Group; 7] = [
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
        name: "sidecar",
        about: "the same in the shape of a sidecar of Istio, beside that of envoy.yaml",
        rows: sidecar,
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

fn plain(others: &[Build]) -> Vec<Row> {
    let [other, check] = [Traffic::Untracked, Traffic::Check].map(Requests::new);
    let mut rows = vec![
        Row::no_filter(other),
        Row::peer_note(other),
        Row::do_nothing(other),
    ];

    let builds = with_ours(others);
    for build in &builds {
        rows.extend(RULES.map(|count| Row::rules(build, count, other)));
    }
    rows.push(Row::by_route(other, &audit::usual(USER_JSON)).delivering(Delivery::Nothing));
    rows.push(Row::audit(
        ", user of JSON",
        check,
        &audit::usual(USER_JSON),
    ));
    rows.extend(of_builds(&builds, ", user of header", check));

    rows
}

fn http(others: &[Build]) -> Vec<Row> {
    let requests = Requests::new(Traffic::Tracked);
    let mut rows = recorded(requests, others);
    rows.push(Row::audit(", hmac", requests, &audit::hmac()));
    rows.push(Row::by_route(requests, &audit::usual(USER_HEADER)));
    rows.extend(own::rows(requests));
    rows
}

fn sidecar(others: &[Build]) -> Vec<Row> {
    let of = |traffic| {
        let requests = Requests::new(traffic);
        let mut rows = vec![Row::no_filter(requests)];
        rows.extend(of_builds(&with_ours(others), "", requests));
        rows
    };
    let shaped = of(Traffic::TrackedSidecar).into_iter().map(Row::as_sidecar);
    of(Traffic::Tracked).into_iter().chain(shaped).collect()
}

fn upstream(others: &[Build]) -> Vec<Row> {
    let of = |traffic| {
        let requests = Requests::new(traffic);
        let mut rows = recorded(requests, others);
        rows.extend(own::main_rows(requests));
        rows
    };
    [Traffic::TrackedUpstream, Traffic::TrackedHttp2]
        .into_iter()
        .flat_map(of)
        .collect()
}

fn grpc(others: &[Build]) -> Vec<Row> {
    let requests = Requests::new(Traffic::TrackedGrpc);
    let mut rows = recorded(requests, others);
    rows.push(Row::audit(", hmac", requests, &audit::hmac()));
    rows
}

/// The host calls alone, one step more per row; then the filter without and with a record.
fn bare(_: &[Build]) -> Vec<Row> {
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

    let lean = Build::lean();
    let name = ", excluded by its rule";
    let excluded = Row::build(&lean, name, requests, &audit::excluded());
    rows.push(excluded.delivering(Delivery::Nothing));
    rows.extend(of_builds(&[lean], "", requests));
    rows
}

/// The rows for every kind of tracked request.
fn recorded(requests: Requests, others: &[Build]) -> Vec<Row> {
    let mut rows = vec![Row::no_filter(requests), Row::do_nothing(requests)];
    rows.extend(of_builds(&with_ours(others), "", requests));
    rows
}

fn delivery(others: &[Build]) -> Vec<Row> {
    let requests = Requests::new(Traffic::Tracked);
    let builds = [&[Build::full()], others].concat();
    let mut rows = vec![Row::no_filter(requests)];

    for count in BATCHES {
        let name = format!(", batches of {count}");
        let row = |build| Row::build(build, &name, requests, &batches_of(count));
        rows.extend(builds.iter().map(row));
    }
    rows
}

fn with_ours(others: &[Build]) -> Vec<Build> {
    [&[Build::full(), Build::lean()], others].concat()
}

/// Every request is recorded, with the user of a header.
fn of_builds(builds: &[Build], name: &str, requests: Requests) -> Vec<Row> {
    let usual = audit::usual(USER_HEADER);
    let row = |build| Row::build(build, name, requests, &usual);
    builds.iter().map(row).collect()
}

fn batches_of(count: usize) -> Value {
    let mut configuration = audit::usual(USER_HEADER);
    configuration["batch"] =
        json!({"max_records": count, "max_bytes": BATCH_BYTES, "max_delay": MAX_DELAY});
    configuration
}
