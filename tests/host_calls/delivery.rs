//! Cost to encode, dispatch and acknowledge a record, in batches of different sizes, and size of a
//! batch on the wire, plain and compressed.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::artefact::full;
use super::exchange::Exchange;
use super::host::Callout;
use super::tally::Tally;
use super::vm::Vm;

/// Batches of each size: first those of the warm-up, in which memory grows, then the measured ones.
const BATCHES: (usize, usize) = (3, 5);

struct Sent {
    records: usize,
    tally: Tally,
    callouts: Vec<Callout>,
}

/// Full batches of this size, each acknowledged before the next.
fn send(size: usize) -> Sent {
    let batch = json!({"max_records": size, "max_bytes": 16 << 20});
    let mut vm = Vm::start(full(), &json!({"batch": batch}));
    let (warm_up, counted) = BATCHES;
    let mut number = 0;
    let mut fill = |vm: &mut Vm| {
        let mut sent = Vec::new();
        while sent.is_empty() {
            vm.exchange(&request(number));
            number += 1;
            vm.wake();
            sent = vm.acknowledge();
        }
        sent
    };

    (0..warm_up).for_each(|_| {
        fill(&mut vm);
    });
    vm.take_tally();

    let callouts = (0..counted).flat_map(|_| fill(&mut vm)).collect();
    Sent {
        records: counted * size,
        tally: vm.take_tally(),
        callouts,
    }
}

/// Consecutive requests differ as they do in production.
fn request(number: u64) -> Exchange {
    let mut mixed = fastrand::Rng::with_seed(number);
    let request_id = format!(
        "{:08x}-6d0e-4c58-9a3d-{:012x}",
        mixed.u32(..),
        mixed.u64(..1 << 48)
    );

    Exchange::http("/demo.Accounts/ChangePassword")
        .tracked()
        .with("x-request-id", &request_id)
        .with("x-session-id", &format!("{:032x}", mixed.u128(..)))
        .with(
            "x-session-context",
            &format!("ZGV2aWNlPT{:06x}", mixed.u32(..1 << 24)),
        )
        .with("x-user-id", &format!("user-{}", mixed.u32(..1000)))
}

fn gzipped(body: &[u8], level: u32) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap().len()
}

#[test]
fn a_record_in_a_batch_of_a_hundred_is_delivered_for_little() {
    let mut delivery = Vec::new();

    for size in [1, 10, 100, 1000] {
        let Sent {
            records,
            tally,
            callouts,
        } = send(size);
        let count = u64::try_from(records).unwrap();
        let dispatch = tally.fuel_of("queue_ready") / count;
        let answer = tally.fuel_of("http_call_response") / count;
        let body: usize = callouts.iter().map(|callout| callout.body.len()).sum();
        let headers: usize = callouts.iter().map(|callout| callout.header_bytes).sum();

        println!(
            "batches of {size:4}: fuel a record: log {}, dispatch {dispatch}, answer {answer}; bytes a record: body {}, \
             headers of the callout {}, copied {}; host calls a record {:.2}",
            tally.fuel_of("log") / count,
            body / records,
            headers / records,
            tally.bytes() / records,
            f64::from(tally.calls.values().sum::<u32>())
                / f64::from(u32::try_from(records).unwrap()),
        );
        delivery.push(dispatch + answer);
    }

    assert!(delivery[2] <= RECORD_OF_A_HUNDRED, "{delivery:?}");
    assert!(
        delivery[3] <= delivery[2],
        "a larger batch costs more a record: {delivery:?}"
    );
}

/// Fuel of dispatch and answer.
const RECORD_OF_A_HUNDRED: u64 = 4_600;

#[test]
fn a_batch_of_a_hundred_compresses_well() {
    for size in [1, 10, 100, 1000] {
        let body = send(size).callouts.pop().unwrap().body;
        let (fast, usual) = (gzipped(&body, 1), gzipped(&body, 6));
        println!(
            "batch of {size:4}: {} bytes, gzip level 1 {fast}, level 6 {usual}",
            body.len()
        );

        assert!(
            size < 100 || fast * 5 < body.len(),
            "{fast} of {}",
            body.len()
        );
    }
}
