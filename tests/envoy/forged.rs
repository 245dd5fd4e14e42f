//! Another plugin of the same Envoy overwrites the filter's shared data. Without a `vm_id`, as with
//! Istio, both plugins share it.

use testkit::Mesh;
use testkit::audit::sink::{Answer, Sink};
use testkit::envoy::intruder::{Intruder, position, with_an_intruder};

use crate::crash::{bootstrap, crash, delivered, names, record};

/// A text in the batch that is forged, and its replacement.
const GENUINE: &[u8] = b"/audited/before-0";
const FORGED: &[u8] = b"/audited/forged-0";

/// One worker, and an audit cluster that never answers.
async fn shared_with_an_intruder() -> Mesh {
    let mesh =
        Mesh::with_bootstrap(with_an_intruder(bootstrap("1h")), Sink::start().await, 1).await;
    mesh.sink.answer_all(Some(Answer::Hang));
    mesh
}

/// Replaces a batch by the output of `forge`, and crashes the VM.
async fn check_refused(forge: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let mesh = shared_with_an_intruder().await;
    record(&mesh, &names("before", 8)).await;
    mesh.stat_at_least("in_flight.batches", 1).await;

    let intruder = Intruder(&mesh);
    let (name, value) = intruder.find(GENUINE).await;
    intruder.write(&name, &forge(value)).await;
    crash(&mesh, "headers").await;
    mesh.sink.answer_all(None);

    let after = names("after", 3);
    record(&mesh, &after).await;
    let stats = delivered(&mesh, &[], &after).await;

    assert_eq!(stats["journal.refused"], 1);

    let stored = mesh.sink.records();
    let has = |text: &[u8]| {
        stored
            .iter()
            .any(|record| record.text("url.path").as_bytes() == text)
    };
    assert!(!has(FORGED) && !has(GENUINE), "{stored:#?}");
    assert!(stats["records.dropped.vm_crash"] > 0, "{stats:#?}");
}

#[tokio::test]
async fn a_batch_with_another_text_is_refused_and_reported_as_lost() {
    let with_another_text = |mut value: Vec<u8>| {
        let start = position(&value, GENUINE).unwrap();
        value[start..start + FORGED.len()].copy_from_slice(FORGED);
        value
    };
    check_refused(with_another_text).await;
}

#[tokio::test]
async fn half_a_batch_is_refused_and_reported_as_lost() {
    check_refused(|value| value[..value.len() / 2].to_vec()).await;
}

#[tokio::test]
async fn garbage_in_every_name_loses_nothing_that_a_living_vm_holds() {
    let mesh = shared_with_an_intruder().await;
    let before = names("before", 8);
    record(&mesh, &before).await;
    mesh.stat_at_least("in_flight.batches", 1).await;

    let intruder = Intruder(&mesh);
    let in_use = intruder.names().await;
    for (name, length) in in_use.iter().zip((1..).step_by(13)) {
        intruder.write(name, &vec![0xa5; length]).await;
    }
    mesh.sink.answer_all(None);

    // Batches of four: the start's record, the eight before and these seven fill four batches.
    let after = names("after", 7);
    record(&mesh, &after).await;

    let stats = delivered(&mesh, &[], &[before, after].concat()).await;
    assert_eq!(stats["records.dropped.vm_crash"], 0);
    assert_eq!(mesh.envoy.stats("vm_reload").await.values().sum::<u64>(), 0);
}
