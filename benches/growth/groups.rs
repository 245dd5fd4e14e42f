//! One group for each growing quantity: rows without the filter, then rows with it in the order of
//! the curve.

use serde_json::json;
use testkit::bench::artefacts::Build;
use testkit::bench::audit::{self, USER_HEADER};
use testkit::bench::requests::{Requests, Traffic};
use testkit::bench::row::Row;

const RULES: [usize; 5] = [1, 10, 30, 100, 1000];
/// Numbers of session ids over which the requests are spread; the last means one id per request.
const SESSIONS: [u64; 4] = [1, 100, 10_000, u64::MAX];
/// Bytes of the context.
const CONTEXTS: [usize; 4] = [0, 512, 2048, 8192];
const WORKERS: [usize; 2] = [1, 2];

/// Rows to compare with each other.
pub struct Group {
    pub name: &'static str,
    /// For the help.
    pub about: &'static str,
    /// Makes the rows, and builds the artefact that they run.
    pub rows: fn() -> Vec<Row>,
}

pub const ALL: [Group; 4] = [
    Group {
        name: "rules",
        about: "rules, none of which matches",
        rows: rules,
    },
    Group {
        name: "sessions",
        about: "session ids over which the requests are spread",
        rows: sessions,
    },
    Group {
        name: "context",
        about: "bytes of the context",
        rows: context,
    },
    Group {
        name: "workers",
        about: "workers of Envoy, all on one core",
        rows: workers,
    },
];

fn rules() -> Vec<Row> {
    let requests = Requests::new(Traffic::Untracked);
    let build = Build::full();
    let with = RULES.map(|count| Row::rules(&build, count, requests));
    std::iter::once(Row::no_filter(requests))
        .chain(with)
        .collect()
}

fn sessions() -> Vec<Row> {
    let requests = |count| Requests {
        sessions: Some(count),
        ..Requests::new(Traffic::Tracked)
    };

    let with = SESSIONS.map(|count| {
        let name = if count == u64::MAX {
            ", each its own".to_owned()
        } else {
            format!(", {count}")
        };
        Row::audit(&name, requests(count), &audit::usual(USER_HEADER))
    });

    std::iter::once(Row::no_filter(requests(1)))
        .chain(with)
        .collect()
}

fn context() -> Vec<Row> {
    let mut configuration = audit::usual(USER_HEADER);
    configuration["tracking"]["on_empty_context"] = json!("record");

    let both = |bytes| {
        let requests = Requests {
            context: Some(bytes),
            ..Requests::new(Traffic::Tracked)
        };
        [
            Row::no_filter(requests),
            Row::audit(&format!(", {bytes} bytes"), requests, &configuration),
        ]
    };

    CONTEXTS.into_iter().flat_map(both).collect()
}

fn workers() -> Vec<Row> {
    let requests = Requests::new(Traffic::Tracked);
    let both = |count| {
        let rows = [
            Row::no_filter(requests),
            Row::audit("", requests, &audit::usual(USER_HEADER)),
        ];
        rows.map(|row| row.with_workers(count))
    };
    WORKERS.into_iter().flat_map(both).collect()
}
