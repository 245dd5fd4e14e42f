//! How far a stream's numbers have come, and signs of life.

use super::*;

const INTERVAL: Duration = Duration::from_secs(30);

/// A stream with an acknowledged start and first record.
fn started() -> Rig {
    let mut rig = Rig::new(|settings| settings.alive_interval = Some(INTERVAL));
    rig.started();
    rig
}

#[track_caller]
fn is_alive_record(sent: &Sent, number: u64) {
    let records = sent.records();
    let [record] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!(
        (record.event.as_str(), record.number, sent.next()),
        ("audit.stream.alive", number, number + 1)
    );
}

#[test]
fn a_batch_has_the_next_number_and_keeps_it_in_every_attempt() {
    let mut rig = started();
    rig.offer(4).offer_immediate(1);
    let sent = rig.send();
    assert_eq!(
        sent.iter()
            .map(|sent| (sent.numbers(), sent.next()))
            .collect::<Vec<_>>(),
        [(vec![6], 7), (vec![2, 3, 4, 5], 7),]
    );

    rig.offer(3).answer(&sent[1], 503).pass(DELAY);
    let again = rig.send_one();
    assert_eq!((&again.body, again.next()), (&sent[1].body, 7));

    rig.answer(&again, 400);
    let half = rig.send_one();
    let others = rig.answer(&half, 200).send();
    let next: Vec<u64> = [&[half], &others[..]]
        .concat()
        .iter()
        .map(Sent::next)
        .collect();

    assert_eq!(next, [7, 7, 10], "the halves, and what came meanwhile");
}

#[test]
fn an_idle_stream_sends_a_sign_of_life_at_every_interval() {
    let mut rig = started();
    for number in 2..5 {
        rig.pass(INTERVAL - Duration::from_nanos(1)).send_none();
        let sent = rig.pass(Duration::from_nanos(1)).send_one();
        is_alive_record(&sent, number);
        rig.send_none().answer(&sent, 200).is_empty();
    }
    assert_eq!(rig.count(Counter::Acknowledged), 5);
}

#[test]
fn a_stream_that_sends_makes_no_other_record() {
    let mut rig = started();
    for _ in 0..4 {
        let sent = rig.pass(INTERVAL / 2).offer_immediate(1).send_one();
        assert_eq!(sent.records()[0].event, "audit.http");
        rig.answer(&sent, 200);
    }
}

#[test]
fn what_waits_leaves_when_it_is_due_and_that_is_promised() {
    let delay = 3 * INTERVAL;
    let mut rig = Rig::new(|settings| {
        settings.alive_interval = Some(INTERVAL);
        settings.batch.max_delay = delay;
    });
    let sent = rig.offer(1).pass(delay).send_one();

    assert!(
        sent.body
            .contains(r#""audit.stream.alive_interval_ms","value":{"intValue":"90000"}"#),
        "{}",
        sent.body
    );

    rig.answer(&sent, 200)
        .pass(INTERVAL / 2)
        .offer(1)
        .pass(delay - Duration::from_nanos(1))
        .send_none();
    let sent = rig.pass(Duration::from_nanos(1)).send_one();

    assert_eq!(
        (sent.numbers(), sent.records()[0].event.as_str()),
        (vec![2], "audit.http")
    );
}

#[test]
fn a_stream_without_a_record_is_silent() {
    let mut rig = Rig::new(|settings| settings.alive_interval = Some(INTERVAL));
    rig.pass(2 * INTERVAL).send_none();
    let mut rig = Rig::new(|_| {});
    rig.started().pass(100 * INTERVAL).send_none();
}

#[test]
fn an_outage_of_hours_leaves_one_sign_of_life() {
    let mut rig = started();
    let mut sent = rig.pass(INTERVAL).send_one();
    for _ in 0..500 {
        rig.answer(&sent, 503).pass(INTERVAL);
        let again = rig.send_one();
        assert_eq!((again.id, &again.body), (sent.id, &sent.body));
        assert_eq!(rig.gauge(Gauge::BufferRecords), 1);
        sent = again;
    }

    rig.answer(&sent, 200).is_empty();
}

#[test]
fn without_an_answer_there_is_no_second_one() {
    let mut rig = started();
    rig.pass(INTERVAL).send_one();
    rig.now.uptime += 2 * INTERVAL;
    rig.send_none();
}

#[test]
fn one_that_is_given_up_is_reported_like_any_record() {
    let mut rig = Rig::new(|settings| {
        settings.alive_interval = Some(INTERVAL);
        settings.retry.max_attempts = Some(1);
    });
    rig.started();
    let sent = rig.pass(INTERVAL).send_one();
    let sent = rig.answer(&sent, 503).pass(INTERVAL).send_one();
    assert_eq!(sent.losses(), [loss("max_attempts", 1, 2, 2)]);
}

#[test]
fn a_stream_that_ends_gives_no_sign_of_life() {
    let mut rig = started();
    rig.pipeline.handle_end(rig.now);
    let end = rig.send_one();
    assert_eq!(end.records()[0].event, "audit.stream.end");
    rig.answer(&end, 200);
    assert!(rig.pipeline.is_drained(rig.now));
    rig.pass(2 * INTERVAL).send_none();
}

#[test]
fn the_batches_of_another_stream_are_no_sign_of_life() {
    let mut ended = Rig::new(|_| {});
    ended.started().offer(4);
    let mut rig = Rig::in_vm(Uuid::from_u128(9), VM, &ended.shared, |settings| {
        settings.alive_interval = Some(INTERVAL)
    });
    rig.started();
    ended.pipeline.handle_end(ended.now);
    let handed_over = ended.pipeline.hand_over(ended.now).unwrap();
    ended.publish();
    rig.pass(INTERVAL - Duration::from_nanos(1));
    rig.pipeline.handle_hand_over(handed_over, rig.now);
    let others = rig.send();

    assert_eq!(
        others.iter().map(Sent::next).collect::<Vec<_>>(),
        [7],
        "the whole stream, its end included"
    );

    rig.pass(Duration::from_nanos(1)).send_none();
    for sent in &others {
        rig.answer(sent, 200);
    }
    is_alive_record(&rig.send_one(), 2);
}
