//! The end of a pipeline.

use super::*;

#[test]
fn everything_leaves_in_one_batch_and_the_end_is_last() {
    let mut rig = Rig::new(|settings| settings.buffer.max_records = 20);
    rig.offer(22);
    rig.pipeline.handle_shutdown(rig.now);
    assert!(!rig.pipeline.is_drained(rig.now));

    let sent = rig.send_one();
    let records = sent.records();
    assert_eq!(
        records.len(),
        20 + 3,
        "start, loss and end beside the records"
    );

    let last = records.last().unwrap();
    assert_eq!(
        (last.event.as_str(), last.next),
        ("audit.stream.end", Some(last.number + 1))
    );
    assert_eq!(rig.count(Counter::Captured), last.number + 1);
    assert_eq!(
        rig.pipeline.unacknowledged().map(|left| left.count),
        Some(23)
    );
    assert!(!rig.pipeline.is_drained(rig.now));

    rig.answer(&sent, 200).is_empty();
    assert!(rig.pipeline.is_drained(rig.now));
}

#[test]
fn the_end_leaves_alone_when_all_is_acknowledged_but_is_not_worth_the_last_connection() {
    let mut rig = Rig::new(|_| {});
    rig.started();
    assert!(!rig.pipeline.handle_shutdown(rig.now));
    assert!(rig.pipeline.poll_notices().is_empty(), "nothing is lost");

    let sent = rig.send_one();
    assert_eq!(sent.records()[0].next, Some(3));

    rig.answer(&sent, 503).pass(DELAY);
    let sent = rig.send_one();
    rig.answer(&sent, 200);
    assert!(rig.pipeline.is_drained(rig.now));

    rig.pass(DELAY).send_none();
}

#[test]
fn it_gives_up_after_a_while() {
    let mut rig = Rig::new(|_| {});
    rig.offer(1);
    rig.pipeline.handle_shutdown(rig.now);
    rig.pass(DRAIN_LIMIT - Duration::from_nanos(1));

    assert!(!rig.pipeline.is_drained(rig.now));
    assert!(given_up(&mut rig).is_empty(), "it still tries");

    rig.pass(Duration::from_nanos(1));
    let lines = given_up(&mut rig);
    assert_eq!(
        lines[0],
        "gives up 3 records that were never acknowledged, numbers 0 to 2"
    );
    assert!(
        !rig.pipeline.is_drained(rig.now),
        "the loss is still to be reported"
    );

    rig.pass(REPORT_LIMIT);
    assert!(rig.pipeline.is_drained(rig.now));
    assert!(
        given_up(&mut rig)
            .iter()
            .any(|line| line.starts_with("loss records refused"))
    );

    rig.is_empty();
}

#[test]
fn what_is_given_up_is_reported_where_the_audit_cluster_answers() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer(2);
    rig.pipeline.handle_end(rig.now);
    let (mut reported, mut ends) = (Vec::new(), 0);

    for _ in 0..4 * 305 {
        for sent in rig.tick().send() {
            let is_refused = sent.numbers().contains(&2);
            if !is_refused {
                reported.extend(sent.losses());
                ends += sent
                    .records()
                    .iter()
                    .filter(|record| record.event == "audit.stream.end")
                    .count();
            }
            rig.answer(&sent, if is_refused { 401 } else { 200 });
        }
    }

    assert!(rig.pipeline.is_drained(rig.now));
    assert_eq!(
        (reported, rig.count(Counter::DroppedAbandoned)),
        (vec![loss("abandoned", 3, 2, 4)], 3)
    );
    assert_eq!(
        ends, 1,
        "no traffic for its own sake where credentials are refused"
    );
}

fn given_up(rig: &mut Rig) -> Vec<String> {
    let errors = rig
        .pipeline
        .poll_notices()
        .into_iter()
        .filter(|notice| notice.level == Level::Error);
    errors.map(|notice| notice.text).collect()
}

#[test]
fn a_late_record_still_leaves_and_the_end_is_recorded_again() {
    let mut rig = Rig::new(|_| {});
    rig.started();
    rig.pipeline.handle_shutdown(rig.now);
    let end = rig.send_one();
    rig.answer(&end, 200);
    let late = rig.offer(1).send_one();

    assert_eq!(
        (late.numbers(), late.records()[1].next),
        (vec![3, 4], Some(5))
    );

    rig.answer(&late, 200);
    assert!(rig.pipeline.is_drained(rig.now));
}

#[test]
fn batches_that_wait_for_a_retry_leave_with_the_rest_whatever_their_backoff() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer(4);
    let sent = rig.send_one();
    rig.answer_with(&sent, Some(503), Some("60"), "")
        .offer(1)
        .offer_immediate(1)
        .send_one();
    rig.offer(1);
    rig.pipeline.handle_shutdown(rig.now);
    let last = rig.send_one();

    assert_eq!(
        last.numbers(),
        [2, 3, 4, 5, 6, 8, 9],
        "all but the one that is in flight, and the end"
    );
    assert_ne!(last.id, sent.id);

    rig.send_none();
}
