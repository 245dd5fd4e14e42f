//! Records of the immediate lane.

use super::*;

fn records(sent: &[Sent]) -> Vec<Vec<u64>> {
    sent.iter().map(Sent::numbers).collect()
}

#[test]
fn they_leave_at_once_and_alone() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer(2).offer_immediate(1);
    assert_eq!(rig.wakes, 1, "the root is woken for a single record");

    let sent = rig.send_one();
    assert_eq!(sent.numbers(), [4]);
    assert!(
        sent.body
            .contains(r#""key":"audit.priority","value":{"stringValue":"immediate"}"#)
    );

    rig.answer(&sent, 200).send_none().pass(DELAY);
    assert_eq!(
        rig.send_one().numbers(),
        [2, 3],
        "the others wait for their timer"
    );
}

#[test]
fn one_that_is_first_is_announced() {
    let mut rig = Rig::new(|_| {});
    assert_eq!(
        rig.offer_immediate(1).send_one().records()[0].event,
        "audit.stream.start"
    );
}

#[test]
fn they_leave_while_all_other_batches_are_in_flight() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer(40);
    assert_eq!(rig.send().len(), FIRST_IN_FLIGHT.bulk);
    rig.offer_immediate(1);
    assert_eq!(rig.send_one().numbers(), [42]);
}

#[test]
fn they_leave_while_a_retry_waits_for_its_backoff() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer(4);
    let sent = rig.send_one();
    rig.answer_with(&sent, Some(429), Some("60"), "")
        .offer(4)
        .send_none()
        .offer_immediate(1);
    let immediate = rig.send_one();

    assert_eq!(immediate.numbers(), [10]);

    rig.answer(&immediate, 200)
        .send_none()
        .pass(Duration::from_secs(60));
    assert_eq!(
        rig.send_one().id,
        sent.id,
        "the Retry-After of the others still holds"
    );
}

#[test]
fn they_are_retried_like_all_others_with_one_probe() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer_immediate(1);
    let first = rig.send_one();
    rig.answer(&first, 503)
        .offer_immediate(3)
        .pass(Duration::from_secs(31));
    let probe = rig.send_one();

    assert_eq!((probe.id, &probe.body), (first.id, &first.body));

    rig.answer(&probe, 200);
    assert_eq!(records(&rig.send()), [[3, 4, 5]]);
}

#[test]
fn they_use_the_reserve_when_the_others_have_filled_the_rest() {
    let mut rig = Rig::new(|settings| {
        settings.buffer = BufferLimits {
            max_records: 10,
            immediate_reserve_percent: 20,
            ..settings.buffer
        };
    });
    rig.refuses = true;
    rig.offer(10).offer_immediate(3);

    assert_eq!(
        rig.count(Counter::DroppedBufferFull),
        2 + 1,
        "two of the others, and one beyond the reserve"
    );
}

#[test]
fn they_leave_a_wide_window_and_then_together() {
    let mut rig = Rig::new(|_| {});
    rig.started();
    for _ in 0..FIRST_IN_FLIGHT.immediate {
        rig.offer_immediate(1).send_one();
    }
    rig.offer_immediate(3).send_none();

    assert_eq!(
        rig.gauge(Gauge::InFlightBatches),
        FIRST_IN_FLIGHT.immediate as u64
    );
}

#[test]
fn the_bad_one_is_found_and_the_others_arrive() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer_immediate(4);
    let whole = rig.send_one();
    let halves = rig.answer(&whole, 400).send();
    assert_eq!(records(&halves), [[2, 3], [4, 5]]);
    rig.answer(&halves[0], 200)
        .answer(&halves[1], 200)
        .is_empty();
}
