//! Refused or held requests: an assigned number is in a record, whatever happens to the request.

use testkit::audit::answer::Gate;
use testkit::audit::sink::Answer;
use testkit::client::{CallOptions, http_get};
use testkit::envoy::bootstrap::forbidding;
use testkit::eventually;

use super::*;

const DENIED: &str = "/joined/denied";

/// Sends three requests, and an RBAC filter at this place of the chain denies the second. Yields
/// their records.
async fn records_with_rbac_at(place: usize) -> (Mesh, Vec<Record>) {
    let denying = bootstrap(&json!({})).with_filter_at(place, &forbidding(DENIED));
    let mesh = Mesh::with_bootstrap(denying, Sink::start().await, 1).await;
    let forged = [(NAMES[0], "forged"), (NAMES[1], "7")];
    for (path, status) in [
        ("/joined/before", 200),
        (DENIED, 403),
        ("/joined/after", 200),
    ] {
        assert_eq!(mesh.get(path, &forged).await.status, status);
    }

    assert!(mesh.upstream.seen().at_path(DENIED).is_empty());
    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records[1].text("audit.outcome"), "denied");

    (mesh, records)
}

#[tokio::test]
async fn what_a_later_filter_denies_has_used_its_number() {
    let (mesh, records) = records_with_rbac_at(1).await;
    let stream = records[0].text("audit.stream.id");
    let pairs: Vec<_> = records.iter().map(pair_of).collect();
    assert_eq!(pairs, [0, 1, 2].map(|number| pair(&stream, number)));
    assert_eq!(
        pair_seen_by(&mesh.upstream.seen().at_path("/joined/after")[0], NAMES),
        pairs[2]
    );
}

#[tokio::test]
async fn what_an_earlier_filter_denies_has_no_pair() {
    let (mesh, records) = records_with_rbac_at(0).await;
    let stream = records[0].text("audit.stream.id");
    let pairs: Vec<_> = records.iter().map(pair_of).collect();
    assert_eq!(pairs, [pair(&stream, 0), None, pair(&stream, 1)]);
    assert_eq!(
        pair_seen_by(&mesh.upstream.seen().at_path("/joined/after")[0], NAMES),
        pairs[2]
    );
}

#[tokio::test]
async fn an_unreachable_upstream_uses_a_number() {
    let bootstrap = bootstrap(&json!({}));
    let nobody = Sink::start_down();
    let mesh = Mesh::with_last_change(bootstrap, Sink::start().await, 1, |bootstrap| {
        bootstrap.point("demo_http", nobody.addr());
    })
    .await;
    for path in ["/joined/0", "/joined/1"] {
        assert_eq!(mesh.get(path, &[]).await.status, 503);
    }

    let records = mesh.sink.wait_for(2).await;
    let stream = records[0].text("audit.stream.id");
    assert_eq!(
        records.iter().map(pair_of).collect::<Vec<_>>(),
        [0, 1].map(|number| pair(&stream, number))
    );
}

/// Both records of an exchange carry its pair, and so does the request that is released.
#[tokio::test]
async fn a_held_request_goes_upstream_with_its_pair() {
    const PATHS: [&str; 2] = ["/held/0", "/held/1"];
    let rules = json!({"rules": [
        {"name": "held", "match": {"path": {"prefix": "/held"}}, "require_audit": "acknowledged", "correlate": true},
        {"name": "joined", "match": {"path": {"prefix": "/joined"}}, "correlate": true},
        {"name": "check", "match": {"path": {"exact": "/check"}}},
    ]});
    let (mesh, gate) = (mesh_with(&rules).await, Gate::closed());
    mesh.sink.answer_all(Some(Answer::Behind(gate.clone())));
    let mut held = Vec::new();

    for (index, path) in PATHS.into_iter().enumerate() {
        let addr = mesh.http;
        held.push(tokio::spawn(async move {
            http_get(addr, path, [(NAMES[0], "forged")], &CallOptions::default())
                .await
                .unwrap()
                .status
        }));

        let arrived = || {
            (mesh
                .sink
                .arrived()
                .iter()
                .filter(|record| record.text("audit.stage") == "received")
                .count()
                > index)
                .then_some(())
        };
        eventually("its receipt arrives", arrived).await;
    }

    mesh.get("/joined/passes", &[]).await;
    let seen = mesh.upstream.seen().all();
    assert_eq!(seen.len(), 1, "the others are held: {seen:#?}");

    gate.open();
    for request in held {
        assert_eq!(request.await.unwrap(), 200);
    }

    let seen = pairs_seen(&mesh);
    let records = mesh.exchanges_until_marker().await;
    let stream = records[0].text("audit.stream.id");

    for (number, path) in [PATHS[0], PATHS[1], "/joined/passes"]
        .into_iter()
        .enumerate()
    {
        assert_eq!(
            seen[path],
            pair(&stream, number),
            "numbers are taken when requests arrive"
        );

        let of_path: Vec<_> = records
            .iter()
            .filter(|record| record.text("url.path") == path)
            .map(pair_of)
            .collect();
        assert_eq!(
            of_path,
            vec![pair(&stream, number); if path.starts_with("/held") { 2 } else { 1 }],
            "{path}"
        );
    }
}
