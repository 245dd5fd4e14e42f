//! Senders, and what the collector does after their last answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use testkit::collector::{Client, post};
use testkit::now;

use crate::records::{Clock, OF_BATCH, batch};

const SENDERS: usize = 4;
/// How long a sender waits after a refusal.
const PAUSE: Duration = Duration::from_millis(20);
/// How often the views are looked at.
const POLL: Duration = Duration::from_millis(20);

/// The requests with these records; both numbers are multiples of a batch.
pub fn requests(clock: Clock, records: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    let batches = records.start / OF_BATCH..records.end / OF_BATCH;
    let request = |index| post("content-type: application/x-protobuf", &batch(clock, index));
    batches.map(request).collect()
}

/// Sends requests over four connections that stay open, one at a time on each. Returns how long it
/// took.
pub fn send(address: SocketAddr, requests: &[Vec<u8>]) -> Duration {
    let next = AtomicUsize::new(0);
    let sender = || {
        let mut client = Client::connect(address).unwrap();
        while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
            store(&mut client, request);
        }
    };

    let start = now();
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(sender);
        }
    });
    start.elapsed()
}

/// Sends one request until its records are stored.
pub fn store(client: &mut Client, request: &[u8]) {
    loop {
        let answer = client.exchange(request).unwrap();
        match answer.status {
            200 => return,
            429 | 503 => thread::sleep(PAUSE),
            other => panic!("status {other}: {}", String::from_utf8_lossy(&answer.body)),
        }
    }
}

/// Waits until the views have as many records as the ledger. Returns how long it took.
pub fn catch_up(client: &mut Client, records: u64) -> Duration {
    let start = now();
    while in_views(client) < records {
        thread::sleep(POLL);
    }
    start.elapsed()
}

/// Records of all streams in the view of the streams.
fn in_views(client: &mut Client) -> u64 {
    let answer = client.get("/api/streams?limit=1000").unwrap();
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    let streams = answer["streams"].as_array().unwrap().iter();
    streams
        .map(|stream| stream["received"].as_u64().unwrap())
        .sum()
}
