//! When a batch is sealed, and its content.

use super::*;

#[test]
fn the_first_record_is_announced() {
    let mut rig = Rig::new(|_| {});
    let sent = rig.offer(2).pass(DELAY).send_one();
    let events: Vec<_> = sent
        .records()
        .into_iter()
        .map(|record| (record.number, record.event))
        .collect();
    let expected = [
        (0, "audit.stream.start"),
        (1, "audit.http"),
        (2, "audit.http"),
    ];

    assert_eq!(
        events,
        expected.map(|(number, event)| (number, event.to_owned()))
    );

    rig.answer(&sent, 200).is_empty();
    let sent = rig.offer(1).pass(DELAY).send_one();
    assert_eq!(sent.numbers(), [3], "announced once");
    assert_eq!(rig.count(Counter::Captured), 4);
}

#[test]
fn nothing_is_announced_without_a_record() {
    let mut rig = Rig::new(|_| {});
    rig.pass(DELAY * 10).send_none().is_empty();
    rig.pipeline.handle_shutdown(rig.now);
    rig.send_none();
    assert!(rig.pipeline.is_drained(rig.now));
}

#[test]
fn by_count() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer(3).send_none();
    let sent = rig.offer(7).send();
    assert_eq!(
        sent.iter()
            .map(|sent| sent.numbers().len())
            .collect::<Vec<_>>(),
        [4, 4]
    );

    rig.send_none().pass(DELAY);
    assert_eq!(rig.send_one().numbers(), [10, 11]);
}

#[test]
fn by_bytes_and_the_first_always_fits() {
    let mut rig = Rig::new(|settings| {
        settings.batch = BatchLimits {
            max_records: 1000,
            max_bytes: 2500,
            max_delay: DELAY,
        };
    });
    rig.started().offer(1).send_none();
    let one = usize::try_from(rig.gauge(Gauge::BufferBytes)).unwrap();
    let fit = 2500 / one;

    assert!((1..=5).contains(&fit), "{one}");

    let sent = rig.offer(fit).send_one();
    assert_eq!(sent.numbers().len(), fit, "as many as fit");

    rig.answer(&sent, 200).pass(DELAY);
    assert_eq!(rig.send_one().numbers().len(), 1);
    assert!(
        rig.pipeline
            .handle_exchange(exchange(&"x".repeat(4000)), None, rig.now),
        "full at once"
    );
    assert_eq!(
        rig.send_one().numbers().len(),
        1,
        "one that is too long for a batch still moves"
    );
}

#[test]
fn by_the_age_of_the_oldest() {
    let mut rig = Rig::new(|_| {});
    rig.started()
        .offer(1)
        .pass(DELAY / 2)
        .offer(1)
        .pass(DELAY / 2 - Duration::from_nanos(1))
        .send_none();

    assert_eq!(
        rig.pass(Duration::from_nanos(1)).send_one().numbers().len(),
        2
    );
}

#[test]
fn one_wake_up_for_a_full_batch() {
    let mut rig = Rig::new(|_| {});
    rig.offer(2);
    assert_eq!(rig.wakes, 0, "the stream's start is the third of four");
    rig.offer(20);
    assert_eq!(rig.wakes, 1, "not again before the root has polled");
    assert_eq!(rig.send().len(), FIRST_IN_FLIGHT.bulk);
    rig.offer(20);
    assert_eq!(rig.wakes, 1, "nothing may leave, so there is no wake-up");
}

#[test]
fn at_most_a_window_in_flight() {
    let mut rig = Rig::new(|_| {});
    rig.offer(40);
    let sent = rig.send();
    assert_eq!(sent.len(), FIRST_IN_FLIGHT.bulk);
    assert_eq!(
        rig.gauge(Gauge::InFlightBatches),
        FIRST_IN_FLIGHT.bulk as u64
    );

    rig.answer(&sent[2], 200);
    assert_eq!(
        rig.send().len(),
        2,
        "in the place of that one, and one more"
    );
}

#[test]
fn a_batch_that_was_polled_is_handed_out_until_it_is_dispatched() {
    let mut rig = Rig::new(|_| {});
    rig.offer(4);
    let first = rig
        .pipeline
        .poll_callout(rig.now)
        .map(|callout| callout.batch_id);
    rig.check();
    let second = rig
        .pipeline
        .poll_callout(rig.now)
        .map(|callout| callout.batch_id);

    assert!(first.is_some() && first == second);
}

impl Rig {
    /// Acknowledges one after the other, each before the next batches leave. Yields the batches
    /// that have left.
    fn answer_each(&mut self, sent: &[Sent]) -> Vec<Sent> {
        sent.iter()
            .flat_map(|sent| self.answer(sent, 200).send())
            .collect()
    }
}

/// 12,000 records in batches of 4: in each round the whole window is in flight, and answered.
#[test]
fn a_burst_leaves_in_more_and_more_batches_at_once() {
    let mut rig = Rig::new(|settings| {
        settings.buffer = BufferLimits {
            max_records: 20_000,
            max_bytes: 64 << 20,
            ..settings.buffer
        };
    });
    rig.started().offer(12_000);
    let mut in_flight = Vec::new();
    let mut sent = rig.send();

    while !sent.is_empty() {
        in_flight.push(sent.len());
        sent = rig.answer_each(&sent);
    }

    assert_eq!(
        in_flight[..5],
        [4, 8, 16, MAX_IN_FLIGHT.bulk, MAX_IN_FLIGHT.bulk]
    );
    assert!(
        in_flight.len() < 100,
        "{} round trips for 3000 batches",
        in_flight.len()
    );

    rig.is_empty();
}

#[test]
fn a_failure_narrows_the_window_again() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer(80);
    let first = rig.send();
    let second = rig.answer_each(&first);

    assert_eq!(second.len(), 8);

    for failed in &second {
        rig.answer(failed, 503);
    }
    let probe = rig.pass(Duration::from_secs(31)).send_one();
    rig.answer(&probe, 200);

    assert_eq!(rig.send().len(), FIRST_IN_FLIGHT.bulk);
}

#[test]
fn a_window_that_is_not_full_does_not_grow() {
    let mut rig = Rig::new(|_| {});
    rig.started();
    for _ in 0..20 {
        let sent = rig.offer(4).send_one();
        rig.answer(&sent, 200);
    }
    rig.offer(40);
    assert_eq!(rig.send().len(), FIRST_IN_FLIGHT.bulk);
}
