//! Effects of one client on the others: many simultaneous requests that it leaves unfinished.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use testkit::DEADLINE;
use testkit::audit::sink::Answer;
use testkit::envoy::crowd::{Crowd, RequestKind};
use testkit::upstream::PreparedAnswer;
use tokio::time::{Instant, sleep};

use crate::fault::Fault;
use crate::load::Call;
use crate::stage::{POLL, Stage};

/// Requests with a required record and a body that never arrives.
const SLOW: RequestKind = RequestKind {
    method: "POST",
    path: "/held",
    has_body: true,
    name: "slow",
};
const SLOW_CROWD: (usize, usize) = (8, 90);

/// Requests for bodies that are read for the user, and that the client does not read.
const LARGE: RequestKind = RequestKind {
    method: "GET",
    path: "/large",
    has_body: false,
    name: "large",
};
/// Enough to exhaust a VM's memory before bodies had a budget: each body is a mebibyte, and a VM
/// has 1024.
const LARGE_CROWD: (usize, usize) = (16, 70);
const BODY_BYTES: usize = 1 << 20;

/// Requests that are answered, and end when their client disconnects.
const ENDS: RequestKind = RequestKind {
    method: "GET",
    path: "/orders/7",
    has_body: false,
    name: "end",
};
const ENDS_CROWD: (usize, usize) = (12, 1000);

/// Delay of the audit cluster's answers during a burst.
const ROUND_TRIP: Duration = Duration::from_millis(10);

/// Rules and limits for all of them. The limits are the defaults, except those that the slow
/// requests must reach.
pub fn plugin(fault: &Fault) -> Value {
    let identity = json!({"user_id": [{"response_json": "/UserId"}], "max_body_bytes": BODY_BYTES});
    let max_bytes = if matches!(fault, Fault::SlowRequests) {
        4 << 20
    } else {
        12 << 20
    };

    json!({
        "audit_cluster": {"timeout": "5s"},
        "buffer": {"max_bytes": max_bytes},
        "rules": [
            {"name": "held", "match": {"path": {"exact": "/held"}}, "require_audit": "buffered"},
            {"name": "large", "match": {"path": {"exact": "/large"}}, "identity": identity},
            {"name": "all"},
        ],
        "batch": {"max_records": 100, "max_delay": "1s"},
    })
}

/// The requests stay open for `span`.
pub async fn slow_requests(stage: &Stage, span: Duration) -> Vec<Call> {
    let crowd = Crowd::start(stage.mesh.http, SLOW_CROWD.0, SLOW_CROWD.1, SLOW).await;
    sleep(span).await;
    leave(crowd, SLOW_CROWD, SLOW)
}

/// The same after all answers have begun. One connection after the other, since users notice a
/// gibibyte at once whatever the filter does.
pub async fn bodies(stage: &Stage, span: Duration) -> Vec<Call> {
    let mut body = br#"{"UserId":42}"#.to_vec();
    body.resize(BODY_BYTES, b' ');

    let body = Bytes::from(body);
    let (connections, requests) = LARGE_CROWD;
    for _ in 0..connections * requests {
        let answer =
            PreparedAnswer::whole(200, [("content-type", "application/json")], body.clone())
                .unwrap();
        stage.mesh.upstream.prepare(LARGE.path, answer);
    }

    let mut crowd = Crowd::default();
    for _ in 0..connections {
        crowd.join(stage.mesh.http, requests, LARGE).await;
        crowd.answered(requests).await;
    }
    sleep(span).await;
    leave(crowd, LARGE_CROWD, LARGE)
}

/// Prints the time until the records of all ends are acknowledged.
pub async fn burst(stage: &Stage) -> Vec<Call> {
    let (connections, requests) = ENDS_CROWD;
    let mut crowd = Crowd::start(stage.mesh.http, connections, requests, ENDS).await;
    crowd.answered(requests).await;
    stage.mesh.sink.answer_all(Some(Answer::Late(ROUND_TRIP)));

    let before = counts(stage).await;
    let begun = Instant::now();
    let calls = leave(crowd, ENDS_CROWD, ENDS);
    let ends = calls.len() as u64;

    loop {
        let [ended, dropped, batches] = counts(stage).await;
        let took = begun.elapsed();
        if ended + dropped >= before[0] + before[1] + ends || took > DEADLINE {
            let (dropped, batches) = (dropped - before[1], batches - before[2]);
            let trips = took.as_secs_f64() / ROUND_TRIP.as_secs_f64();
            eprintln!(
                "{ends} ends: {dropped} dropped, the others acknowledged in {batches} batches after {took:.1?}, {trips:.0} \
                 round trips of {ROUND_TRIP:.1?}"
            );
            return calls;
        }
        sleep(POLL / 10).await;
    }
}

/// Acknowledged records, dropped records, and batches.
async fn counts(stage: &Stage) -> [u64; 3] {
    let stats = stage.stats().await.expect("Envoy runs");
    [
        "records.acknowledged",
        "records.dropped.buffer_full",
        "batches.acknowledged",
    ]
    .map(|name| stats.get(name).copied().unwrap_or_default())
}

/// The client disconnects. All of its requests have had an answer, or were refused.
fn leave(crowd: Crowd, (connections, requests): (usize, usize), kind: RequestKind) -> Vec<Call> {
    let ended = Instant::now();
    crowd.leave();
    let call = |number| Call {
        name: kind.user_agent(number),
        is_answered: true,
        ended,
        took: None,
    };
    (0..connections * requests).map(call).collect()
}
