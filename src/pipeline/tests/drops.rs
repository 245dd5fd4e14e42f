//! Drops, and how they are reported.

use super::*;

#[test]
fn after_max_attempts() {
    let mut rig = Rig::new(|settings| settings.retry.max_attempts = Some(3));
    rig.started().offer(2).pass(DELAY);
    for _ in 0..3 {
        let sent = rig.send_one();
        assert_eq!(sent.numbers(), [2, 3]);
        rig.answer(&sent, 503);
        assert_eq!(rig.count(Counter::Rejected), 0);
        rig.pass(Duration::from_secs(31));
    }

    assert_eq!(rig.count(Counter::DroppedMaxAttempts), 2);

    let report = rig.send_one();
    assert_eq!(report.losses(), [loss("max_attempts", 2, 2, 3)]);

    rig.answer(&report, 200).is_empty();
}

#[test]
fn a_dropped_report_is_made_again() {
    let mut rig = Rig::new(|settings| settings.retry.max_attempts = Some(1));
    rig.started().offer(1).pass(DELAY);
    let sent = rig.send_one();
    let report = rig
        .answer(&sent, 503)
        .pass(Duration::from_secs(31))
        .send_one();

    assert_eq!(report.losses(), [loss("max_attempts", 1, 2, 2)]);

    let report = rig
        .answer(&report, 503)
        .pass(Duration::from_secs(31))
        .send_one();

    assert_eq!(
        report.losses(),
        [loss("max_attempts", 2, 2, 3)],
        "the record, and the report that was lost"
    );
}

#[test]
fn after_max_age() {
    let age = Duration::from_secs(100);
    let mut rig = Rig::new(|settings| settings.retry.max_age = Some(age));
    rig.started().offer(5).pass(DELAY);
    for sent in rig.send() {
        rig.answer_with(&sent, Some(503), Some("60"), "");
    }
    rig.offer(1).pass(age - DELAY - Duration::from_nanos(1));

    assert_eq!(rig.count(Counter::DroppedMaxAge), 0);

    rig.pass(Duration::from_nanos(1));
    assert_eq!(rig.count(Counter::DroppedMaxAge), 5, "in batches and not");

    rig.pass(DELAY);
    assert_eq!(rig.count(Counter::DroppedMaxAge), 6);

    let report = rig.send_one();
    let covered: u64 = report.losses().iter().map(|(_, count, _, _)| count).sum();
    assert_eq!((covered, report.losses()[0].0.as_str()), (6, "max_age"));
}

#[test]
fn a_full_buffer_makes_one_report_of_the_range() {
    let mut rig = Rig::new(|settings| settings.buffer.max_records = 6);
    rig.offer(10);
    assert_eq!(rig.count(Counter::DroppedBufferFull), 4);

    let mut losses = Vec::new();
    for sent in rig.pass(DELAY).send() {
        losses.extend(sent.losses());
        rig.answer(&sent, 200);
    }

    assert_eq!(losses, [loss("buffer_full", 4, 7, 10)]);

    rig.is_empty();
    rig.pass(DELAY * 100).send_none();
}

#[test]
fn a_report_leaves_alone_when_no_record_follows() {
    let mut rig = Rig::new(|settings| settings.buffer.max_records = 4);
    rig.started().offer(4);
    let sent = rig.send_one();
    rig.offer(1);
    rig.answer(&sent, 200).send_none();
    let report = rig.pass(DELAY).send_one();

    assert_eq!(
        (report.numbers().len(), report.losses()),
        (1, vec![loss("buffer_full", 1, 6, 6)])
    );
}

#[test]
fn in_flight_records_take_their_place() {
    let mut rig = Rig::new(|settings| settings.buffer.max_records = 4);
    rig.started().offer(4);
    let sent = rig.send_one();
    rig.offer(1);
    assert_eq!(rig.count(Counter::DroppedBufferFull), 1);
    rig.answer(&sent, 200).offer(1);
    assert_eq!(rig.count(Counter::DroppedBufferFull), 1);
}

#[test]
fn by_bytes() {
    let mut rig = Rig::new(|settings| settings.buffer.max_bytes = 3000);
    rig.started().offer(9);
    assert!(rig.gauge(Gauge::BufferBytes) <= 3000);
    assert!(rig.count(Counter::DroppedBufferFull) > 0);
    let _ = rig
        .pipeline
        .handle_exchange(exchange(&"x".repeat(3000)), None, rig.now);
    assert_eq!(rig.count(Counter::DroppedTooLarge), 1);
}

#[test]
fn the_oldest_when_so_configured() {
    let mut rig = Rig::new(|settings| {
        settings.buffer = BufferLimits {
            max_records: 3,
            on_full: OnFull::DropOldest,
            ..settings.buffer
        };
    });
    rig.started().offer(5).pass(DELAY);
    let sent = rig.send();
    let numbers: Vec<u64> = sent.iter().flat_map(Sent::numbers).collect();

    assert_eq!(numbers, [7, 4, 5, 6], "the report, and the newest");
    assert_eq!(sent[0].losses(), [loss("buffer_full", 2, 2, 3)]);
}

#[test]
fn a_buffer_for_one_record_holds_one_despite_the_reserve() {
    let mut rig = Rig::new(|settings| {
        settings.buffer = BufferLimits {
            max_records: 1,
            immediate_reserve_percent: 10,
            ..settings.buffer
        };
    });
    rig.offer(1);
    assert_eq!(rig.count(Counter::DroppedBufferFull), 0);
}

#[test]
fn what_a_dropped_batch_was_to_report_is_reported_once() {
    let mut rig = Rig::new(|settings| {
        settings.buffer.max_records = 3;
        settings.retry.max_attempts = Some(1);
    });
    rig.started().offer(4);
    let sent = rig.pass(DELAY).send_one();

    assert_eq!(
        (sent.numbers(), sent.losses()),
        (vec![6, 2, 3, 4], vec![loss("buffer_full", 1, 5, 5)])
    );

    let report = rig
        .answer(&sent, 503)
        .pass(Duration::from_secs(31))
        .send_one();

    assert_eq!(
        report.losses(),
        [
            loss("buffer_full", 1, 5, 5),
            loss("max_attempts", 1, 6, 6),
            loss("max_attempts", 3, 2, 4)
        ]
    );
}
