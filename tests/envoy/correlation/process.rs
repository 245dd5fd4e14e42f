//! `scope: process`: one session for all workers, which outlives a configuration and a VM.

use std::collections::BTreeSet;
use std::time::Duration;

use testkit::client::HttpConnection;
use testkit::envoy::lds::Listeners;
use testkit::{DEADLINE, eventually, tools};

use super::*;

fn process_wide() -> Bootstrap {
    bootstrap(&json!({"correlation": {"scope": "process"}}))
}

/// The one session of these pairs, and their numbers.
#[track_caller]
fn session_and_numbers<'p>(
    pairs: impl IntoIterator<Item = &'p Option<Pair>>,
) -> (String, Vec<usize>) {
    let (sessions, numbers): (BTreeSet<&str>, Vec<usize>) = pairs
        .into_iter()
        .flatten()
        .map(|(session, number)| (session.as_str(), number.parse::<usize>().unwrap()))
        .unzip();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    (sessions.into_iter().collect(), numbers)
}

fn streams(records: &[Record]) -> BTreeSet<String> {
    records
        .iter()
        .map(|record| record.text("audit.stream.id"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_workers_hand_out_each_number_once() {
    const CONNECTIONS: usize = 50;
    const REQUESTS: usize = 200;
    const ALL: usize = CONNECTIONS * REQUESTS;

    let mesh = Mesh::with_bootstrap(process_wide(), Sink::start().await, 4).await;
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|client| tokio::spawn(send(mesh.http, client, REQUESTS)))
        .collect();
    for client in clients {
        client.await.unwrap();
    }

    let seen = pairs_seen(&mesh);
    let (session, mut numbers) = session_and_numbers(seen.values());
    numbers.sort_unstable();
    assert!(
        numbers.iter().copied().eq(0..ALL),
        "{} of {ALL} requests have a number of their own",
        numbers.len()
    );

    // Some of the acknowledged records are stream starts, and their number varies.
    let records = mesh.sink.wait_for(ALL).await;
    assert_eq!(
        pairs_recorded(&records),
        seen,
        "each pair stands in one record"
    );
    assert_eq!(records.len(), ALL, "and in no other");

    let streams = streams(&records);
    assert!(
        streams.len() > 1 && !streams.contains(&session),
        "{streams:?}"
    );
}

/// Sends this number of requests one after the other on one connection.
async fn send(addr: std::net::SocketAddr, client: usize, requests: usize) {
    let mut connection = HttpConnection::open(addr, DEADLINE).await.unwrap();
    for index in 0..requests {
        let path = format!("/joined/{client}/{index}");
        assert_eq!(
            connection
                .request("GET", &path, [], DEADLINE)
                .await
                .unwrap()
                .status,
            200
        );
    }
}

/// Sequential requests, so that the next number is known.
struct Sequence {
    sent: usize,
    mesh: Mesh,
}

impl Sequence {
    /// One over HTTP and one over gRPC: each of the two listeners has a stream.
    async fn go_on(&mut self) {
        let path = self.next_path();
        assert_eq!(self.mesh.get(&path, &[]).await.status, 200);
        let path = self.next_path();
        call(&self.mesh, &path, Headers::new(), Headers::new()).await;
    }

    fn next_path(&mut self) -> String {
        self.sent += 1;
        format!("/joined.Service/{}", self.sent - 1)
    }

    /// The requests of the sequence at the upstream, by path and in the order of arrival.
    fn seen(&self) -> Vec<(String, Option<Pair>)> {
        let mut seen = self.mesh.upstream.seen().all();
        seen.retain(|seen| seen.path.starts_with("/joined"));
        seen.iter()
            .map(|seen| (seen.path.clone(), pair_seen_by(seen, NAMES)))
            .collect()
    }

    /// Each request had the next number of one session.
    #[track_caller]
    fn assert_dense(&self) {
        let seen = self.seen();
        let (_, numbers) = session_and_numbers(seen.iter().map(|(_, pair)| pair));
        assert!(numbers.into_iter().eq(0..self.sent), "{seen:#?}");
    }

    /// Every request has one record, with the pair that went upstream.
    async fn assert_recorded(&self) -> Vec<Record> {
        let records = eventually("all are recorded", || {
            // A batch is sent again if the VM crashes before it has read the answer. A store
            // deduplicates by record id.
            let records: BTreeMap<_, _> = self
                .mesh
                .sink
                .exchanges()
                .into_iter()
                .map(|record| (record.uid(), record))
                .collect();
            (records.len() >= self.sent).then(|| records.into_values().collect::<Vec<_>>())
        })
        .await;
        assert_eq!(pairs_recorded(&records), self.seen().into_iter().collect());

        records
    }
}

/// Waits until new connections get the second configuration, while open connections still have the
/// first.
async fn updated(mesh: &Mesh, workers_listeners: u64) {
    let served = async {
        while mesh
            .envoy
            .stats("listener_create_success")
            .await
            .values()
            .sum::<u64>()
            < 2 * workers_listeners
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };

    tokio::time::timeout(DEADLINE, served)
        .await
        .expect("every worker has the new listeners");
}

/// Envoy updates the filter chain in place, so an open connection keeps the old one until it is
/// drained.
#[tokio::test]
async fn the_session_goes_on_under_another_configuration() {
    let (mesh, listeners) = Listeners::start_on(process_wide(), Sink::start().await, 2).await;
    let mut sequence = Sequence { sent: 0, mesh };
    let mut old = HttpConnection::open(sequence.mesh.http, DEADLINE)
        .await
        .unwrap();

    for _ in 0..5 {
        sequence.go_on().await;
    }
    listeners.update(&json!({"service": "second"}));
    updated(&sequence.mesh, 4).await;

    let path = sequence.next_path();
    assert_eq!(
        old.request("GET", &path, [], DEADLINE)
            .await
            .unwrap()
            .status,
        200
    );

    for _ in 0..5 {
        sequence.go_on().await;
    }
    sequence.assert_dense();
    let records = sequence.assert_recorded().await;

    let of = |service: &str| {
        records
            .iter()
            .filter(|record| record.text("service.name") == service)
            .count()
    };
    assert_eq!(
        (of("demo"), of("second")),
        (11, 10),
        "both configurations took part, one after the other and by turns"
    );
}

/// A bootstrap with VMs that trap on demand and are reloaded at once.
fn crashing(scope: &str) -> Bootstrap {
    bootstrap(&json!({"correlation": {"scope": scope}})).with(|bootstrap| {
        bootstrap.run(tools::crashing_wasm());
        bootstrap.each_filter("audit", |filter| {
            filter["typed_config"]["config"]["reload_config"] =
                json!({"backoff": {"base_interval": "0.05s"}});
        });
    })
}

/// Traps the only worker's VM in this callback. Waits until both listeners have a new one.
async fn crash(mesh: &Mesh, callback: &str) {
    mesh.get("/", &[("x-audit-crash-for-tests", callback)])
        .await;

    let serves = async {
        while mesh.get("/", &[]).await.status != 200
            || mesh.call(&[]).await.unwrap().grpc_status().as_deref() != Some("0")
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, serves)
        .await
        .expect("requests load the VM anew");
}

/// A sequence across three VMs. The first two crash after all their records are made.
async fn through_crashes(scope: &str) -> (Sequence, Vec<Record>) {
    let mesh = Mesh::with_bootstrap(crashing(scope), Sink::start().await, 1).await;
    let mut sequence = Sequence { sent: 0, mesh };
    for callback in ["headers", "log"] {
        sequence.go_on().await;
        sequence.go_on().await;
        sequence.assert_recorded().await;
        crash(&sequence.mesh, callback).await;
    }

    sequence.go_on().await;
    sequence.go_on().await;
    let records = sequence.assert_recorded().await;
    assert_eq!(
        streams(&records).len(),
        6,
        "three VMs with two streams each"
    );

    (sequence, records)
}

#[tokio::test]
async fn the_session_goes_on_in_the_place_of_a_crashed_vm() {
    let (sequence, _) = through_crashes("process").await;
    sequence.assert_dense();
}

#[tokio::test]
async fn a_session_of_a_worker_ends_with_its_vm() {
    let (_, records) = through_crashes("worker").await;
    let pairs: BTreeSet<_> = records.iter().map(pair_of).collect();
    let expected = streams(&records)
        .into_iter()
        .flat_map(|stream| [0, 1].map(|number| pair(&stream, number)));
    assert_eq!(pairs, expected.collect());
}
