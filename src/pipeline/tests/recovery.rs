//! What survives a crash of the VM, and which stream takes it over.

use super::super::journal::NUMBERS_PER_CHECKPOINT;
use super::*;

const SUCCESSOR_VM: Uuid = Uuid::from_u128(71);

/// The stream of another VM of the same process.
fn sibling(rig: &Rig, number: u128, change: impl FnOnce(&mut PipelineSettings)) -> Rig {
    let mut sibling = Rig::in_vm(
        Uuid::from_u128(8 + number),
        Uuid::from_u128(71 + number),
        &rig.shared,
        change,
    );
    sibling.tokens = 1000;
    sibling
}

/// The VM that is loaded in the place of a crashed one.
fn successor(crashed: &Rig) -> Rig {
    let mut successor = sibling(crashed, 0, |_| {});
    successor.pipeline.handle_crash(VM);
    successor.check();
    successor
}

fn is_recovered(sent: &Sent) -> bool {
    sent.body
        .contains(r#"{"key":"audit.recovered","value":{"boolValue":true}}"#)
        && sent.body.contains(&format!(
            r#""key":"audit.stream.id","value":{{"stringValue":"{STREAM}"}}"#
        ))
}

#[test]
fn sealed_batches_leave_again_under_their_ids_and_the_rest_is_reported_as_lost() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer(4);
    let in_flight = rig.send_one();
    rig.offer(2);
    let mut successor = successor(&rig);
    let sent = successor.tick().send();

    assert_eq!(sent.len(), 2);
    assert_eq!(
        (sent[0].id, sent[0].numbers()),
        (in_flight.id, in_flight.numbers())
    );
    assert!(sent.iter().all(is_recovered));
    assert_eq!(
        sent[0].next(),
        in_flight.next(),
        "the last number of the crashed VM is all that is known"
    );

    let unchanged = |body: &str| body.split_once("logRecords").unwrap().1.to_owned();
    assert_eq!(
        unchanged(&sent[0].body),
        unchanged(&in_flight.body),
        "the records have the same bytes"
    );

    let report = &sent[1].records()[0];
    let (reason, _, first, last) = report.loss.clone().unwrap();
    assert_eq!(
        (reason.as_str(), first),
        ("vm_crash", 6),
        "what was below was sealed"
    );
    assert!(last > 7 && report.number == last + 1, "{report:?}");
    assert_eq!(sent[1].next(), report.number + 1);
    assert_eq!(successor.pipeline.unacknowledged(), None, "of its own");

    successor
        .answer(&sent[0], 200)
        .answer(&sent[1], 200)
        .is_empty();
}

#[test]
fn what_was_acknowledged_is_not_sent_again() {
    let mut rig = Rig::new(|_| {});
    rig.started().tick();
    let sent = successor(&rig).tick().send_one();
    assert_eq!(
        sent.losses().len(),
        1,
        "only the report, from the first number that is not known"
    );
    assert_eq!(sent.losses()[0].2, 2);
}

#[test]
fn nothing_of_a_living_sibling_is_taken() {
    let mut rig = Rig::new(|_| {});
    rig.offer(4).send_one();
    let mut other = sibling(&rig, 0, |_| {});
    other.offer(4).send_one();
    let mut third = sibling(&rig, 1, |_| {});
    third.pipeline.handle_crash(VM);
    let recovered = third.tick().send();

    assert!(recovered.iter().all(is_recovered), "only the crashed one's");
    assert_eq!(recovered[0].numbers(), [0, 1, 2, 3]);

    third.pipeline.handle_crash(VM);
    third.tick().send_none();
}

#[test]
fn only_a_stream_that_sends_to_the_same_place_takes_over() {
    let mut rig = Rig::new(|_| {});
    rig.offer(4).send_one();
    let elsewhere: [fn(&mut PipelineSettings); 6] = [
        |settings| settings.resource.service = "other".to_owned(),
        |settings| settings.target.cluster = "other".to_owned(),
        |settings| settings.target.authority = "other".to_owned(),
        |settings| settings.target.path = "/other".to_owned(),
        |settings| settings.target.format = Format::Ndjson,
        |settings| settings.target.headers = vec![("x-tenant".to_owned(), "other".to_owned())],
    ];

    for (number, change) in (1..).zip(elsewhere) {
        let mut stranger = sibling(&rig, number, change);
        stranger.pipeline.handle_crash(VM);
        stranger.tick().send_none().is_empty();
    }

    let mut successor = sibling(&rig, 0, |settings| settings.target.timeout *= 2);
    successor.pipeline.handle_crash(VM);
    assert_eq!(successor.tick().send().len(), 2);
}

#[test]
fn a_second_crash_loses_nothing_of_what_was_taken_over() {
    let mut rig = Rig::new(|_| {});
    rig.offer(4).send_one();
    let mut first = successor(&rig);
    let sent = first.tick().send();
    first.tick();
    let mut second = sibling(&rig, 1, |_| {});
    second.pipeline.handle_crash(SUCCESSOR_VM);
    let again = second.tick().send();
    let of_crashed: Vec<_> = again
        .iter()
        .filter(|sent| is_recovered(sent))
        .map(|sent| sent.id)
        .collect();

    assert_eq!(
        of_crashed,
        sent.iter().map(|sent| sent.id).collect::<Vec<_>>()
    );
}

/// The published gauges are in one share after any number of crashes.
#[test]
fn a_second_crash_inherits_nothing_twice() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer(4);
    rig.send_one();
    rig.offer(3).tick();
    let mut first = successor(&rig);
    first.refuses = true;
    first.tick().send_none().tick();
    let published = first.pipeline.gauges();

    assert_eq!(published[0], 4, "what was sealed; the rest is lost");

    let mut second = sibling(&rig, 1, |_| {});
    second.pipeline.handle_crash(SUCCESSOR_VM);
    assert_eq!(
        Gauge::ALL.map(|(gauge, _)| second.stats.inherited(gauge)),
        published
    );

    for sent in second.tick().send() {
        second.answer(&sent, 200);
    }
    second.is_empty();

    assert_eq!(
        (
            first.count(Counter::DroppedVmCrash),
            second.count(Counter::DroppedVmCrash)
        ),
        (3, 0)
    );
}

#[test]
fn loss_reports_in_a_batch_outlive_it_too() {
    let mut rig = Rig::new(|settings| settings.buffer.max_records = 4);
    rig.started().offer(6);
    let sent = rig.pass(DELAY).send();
    assert_eq!(sent[0].losses(), [loss("buffer_full", 2, 6, 7)]);
    let recovered = successor(&rig).tick().send();
    assert_eq!(recovered[0].losses(), sent[0].losses());
}

/// A batch has ended badly, and its cell has a batch with nothing to report.
fn first_number_reported_lost(rig: &mut Rig, end_badly: impl FnOnce(&mut Rig, &Sent)) -> u64 {
    rig.started().offer(4);
    let sent = rig.send_one();
    rig.tick();
    end_badly(rig, &sent);
    rig.offer_immediate(1).send_one();
    let sent = successor(rig).tick().send();

    assert_eq!(
        sent.iter()
            .map(|sent| sent.numbers()[0])
            .collect::<Vec<_>>(),
        [6, 6 + NUMBERS_PER_CHECKPOINT]
    );

    sent[1].losses()[0].2
}

#[test]
fn a_loss_that_is_in_no_batch_yet_is_covered() {
    let rejected = first_number_reported_lost(&mut Rig::new(|_| {}), |rig, sent| {
        rig.answer_with(
            sent,
            Some(200),
            None,
            r#"{"partialSuccess":{"rejectedLogRecords":1}}"#,
        );
    });
    let mut impatient = Rig::new(|settings| settings.retry.max_attempts = Some(1));
    let dropped = first_number_reported_lost(&mut impatient, |rig, sent| {
        rig.answer(sent, 503);
    });

    assert_eq!((rejected, dropped), (2, 2));
}

#[test]
fn what_the_audit_cluster_refuses_of_it_is_reported_in_its_name() {
    let mut rig = Rig::new(|_| {});
    rig.offer(4).send_one();
    let mut successor = successor(&rig);
    let sent = successor.tick().send();
    let halves = successor.answer(&sent[1], 200).answer(&sent[0], 400).send();

    assert!(halves.len() == 2 && halves.iter().all(is_recovered));

    successor.answer(&halves[0], 200);
    let singles = successor.answer(&halves[1], 400).send();
    successor.answer(&singles[0], 200).answer(&singles[1], 400);
    let report = loop {
        let sent = successor.tick().send();
        match &sent[..] {
            [again] if again.id == singles[1].id => successor.answer(again, 400),
            [report] => break report.clone(),
            _ => &mut successor,
        };
    };

    assert!(is_recovered(&report));
    assert_eq!(report.losses(), [loss("rejected", 1, 3, 3)]);
    assert_eq!(
        report.numbers()[0],
        sent[1].numbers()[0] + 1,
        "after the report of the crash"
    );

    successor.answer(&report, 200).is_empty();
}

#[test]
fn all_but_one_wait_until_there_is_room() {
    let change = |settings: &mut PipelineSettings| settings.buffer.max_records = 8;
    let mut rig = Rig::in_vm(STREAM, VM, &Rc::default(), change);
    rig.offer(7).send();
    let mut successor = sibling(&rig, 0, change);
    successor.refuses = true;
    successor.offer(6);
    successor.pipeline.handle_crash(VM);
    successor.tick().send_none();

    assert_eq!(
        successor.count(Counter::DroppedBufferFull),
        0,
        "no record is evicted"
    );

    let held = successor.gauge(Gauge::BufferRecords);
    assert_eq!(
        held,
        7 + 4,
        "one batch is there, and the other where it was"
    );

    successor.refuses = false;
    for _ in 0..20 {
        for sent in successor.pass(Duration::from_secs(31)).send() {
            successor.answer(&sent, 200);
        }
    }

    successor.is_empty();
    assert_eq!(successor.count(Counter::DroppedVmCrash), 0);
}

#[test]
fn a_batch_that_is_larger_than_the_successors_buffer_arrives() {
    let mut rig = Rig::new(|_| {});
    rig.offer(4).send_one();
    let mut successor = sibling(&rig, 0, |settings| settings.buffer.max_records = 2);
    successor.offer(3);
    successor.pipeline.handle_crash(VM);
    let sent = successor.tick().send();

    assert_eq!(sent[0].numbers(), [0, 1, 2, 3]);

    successor.offer(1);
    assert_eq!(
        successor.count(Counter::DroppedBufferFull),
        2,
        "there is no room for more"
    );

    successor.answer(&sent[0], 200).offer(1);
    assert_eq!(
        successor.count(Counter::DroppedBufferFull),
        3,
        "its own wait"
    );
}

#[test]
fn statistics_go_on_where_the_crashed_vm_has_left_them() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer(4);
    rig.send_one();
    rig.offer(3).tick();
    let published = rig.pipeline.gauges();

    assert_eq!(published[0], 7);

    let mut successor = successor(&rig);
    assert_eq!(
        Gauge::ALL.map(|(gauge, _)| successor.stats.inherited(gauge)),
        published
    );

    for sent in successor.tick().send() {
        successor.answer(&sent, 200);
    }
    assert_eq!(
        successor.count(Counter::DroppedVmCrash),
        3,
        "those that the crashed VM had counted and not sealed"
    );
    assert_eq!(
        (
            successor.count(Counter::Captured),
            successor.count(Counter::Acknowledged)
        ),
        (1, 5),
        "the report, and what was sealed"
    );

    successor.is_empty();
}

#[test]
fn a_batch_costs_one_write_and_a_record_none() {
    let mut rig = Rig::new(|settings| settings.batch.max_records = 50);
    rig.started().tick();
    let before = rig.shared.writes.get();
    for _ in 0..20 {
        rig.offer(50);
        let sent = rig.send_one();
        rig.answer(&sent, 200);
    }

    let written = rig.shared.writes.get() - before;
    assert!(
        written <= 20 + 20 * 50 / 100,
        "{written} writes: one for a batch, and one for a hundred numbers"
    );

    rig.tick();
    let idle = rig.shared.writes.get();
    rig.tick().tick();
    assert_eq!(
        rig.shared.writes.get(),
        idle,
        "an idle stream writes nothing"
    );
}

#[test]
fn its_memory_is_freed() {
    let mut rig = Rig::new(|_| {});
    for _ in 0..5 {
        rig.offer(40);
        for sent in rig.send() {
            rig.answer(&sent, 200);
        }
        rig.pass(DELAY);
    }

    for sent in rig.pass(DELAY).send() {
        rig.answer(&sent, 200);
    }
    rig.tick();

    assert!(
        rig.shared.bytes() < 250,
        "{} bytes: no batch is kept",
        rig.shared.bytes()
    );

    rig.pipeline.handle_shutdown(rig.now);
    let end = rig.send_one();
    rig.answer(&end, 200);
    rig.pipeline.close();
    assert_eq!(rig.shared.kept(), [""; 0]);

    let keys = rig.shared.values.borrow().len();
    sibling(&rig, 0, |_| {}).offer(4).send_one();
    assert_eq!(
        rig.shared.values.borrow().len(),
        keys,
        "the slot and its keys are used again"
    );
}

#[test]
fn the_copies_of_what_is_joined_at_the_end_are_freed() {
    let mut rig = Rig::new(|_| {});
    rig.refuses = true;
    rig.offer(8).send();
    rig.refuses = false;
    rig.pipeline.handle_shutdown(rig.now);
    let sent = rig.send_one();
    rig.answer(&sent, 200).publish();

    assert!(
        rig.shared.bytes() < 250,
        "{} bytes: no batch is kept",
        rig.shared.bytes()
    );
}

#[test]
fn a_copy_that_is_cut_short_is_passed_over() {
    let mut rig = Rig::new(|_| {});
    rig.offer(8).send();
    let name = rig.shared.named(".slot.0.0");
    let (mut value, _) = rig.shared.get(&name).unwrap();
    value.truncate(100);
    rig.shared.set(&name, &value);
    let sent = successor(&rig).tick().send();
    assert_eq!(sent[0].numbers(), [4, 5, 6, 7]);
}

#[test]
fn what_becomes_of_it_decides_about_no_request_of_the_successor() {
    for (status, retry_after) in [(200, None), (429, Some("60"))] {
        let mut rig = Rig::new(|_| {});
        rig.offer(4).send_one();
        let mut successor = successor(&rig);
        let ticket = successor.hold();
        let sent = successor.tick().send();
        let of_crashed = sent
            .iter()
            .find(|sent| is_recovered(sent) && sent.losses().is_empty())
            .unwrap();

        assert!(
            of_crashed.numbers().contains(&ticket),
            "a number of another stream"
        );

        successor.answer_with(of_crashed, Some(status), retry_after, "");
        assert_eq!(successor.decisions(), [], "{status}");
    }
}

#[test]
fn what_is_given_up_of_it_is_logged_and_leaves_nothing_behind() {
    let mut rig = Rig::new(|settings| settings.buffer.max_records = 8);
    rig.offer(8).send();
    rig.tick();
    let mut successor = sibling(&rig, 0, |settings| settings.buffer.max_records = 2);
    successor.refuses = true;
    successor.pipeline.handle_crash(VM);
    successor.tick();
    successor.pipeline.handle_shutdown(successor.now);
    successor.pass(DRAIN_LIMIT).pass(REPORT_LIMIT);

    assert!(successor.pipeline.is_drained(successor.now));

    let lines = successor.pipeline.poll_notices();
    let expected = "gives up 9 records of streams that it has taken over";
    assert!(
        lines
            .iter()
            .any(|notice| notice.level == Level::Error && notice.text == expected),
        "{lines:?}"
    );

    successor.pipeline.close();
    assert_eq!(rig.shared.kept(), [""; 0]);
}

/// A cell is overwritten when its batch was acknowledged. The progress of the later batch shows it.
#[test]
fn what_was_acknowledged_since_the_last_checkpoint_is_not_counted_as_lost() {
    let mut rig = Rig::new(|settings| settings.batch.max_records = 10);
    rig.started().offer(8).tick();
    for count in [2, 10] {
        let sent = rig.offer(count).send_one();
        rig.answer(&sent, 200);
    }

    let again = successor(&rig).tick().send();
    assert_eq!(
        again
            .iter()
            .flat_map(Sent::losses)
            .map(|(_, count, ..)| count)
            .sum::<u64>(),
        0
    );
}

#[test]
fn what_was_sealed_is_not_counted_as_lost() {
    let mut rig = Rig::new(|_| {});
    rig.offer(8).send();
    rig.tick();
    let sent = successor(&rig).tick().send();
    let report = sent.last().unwrap().losses();

    assert_eq!(
        report,
        [loss("vm_crash", 1, 8, 8 + NUMBERS_PER_CHECKPOINT)],
        "the ninth, in a range of numbers that may have been given out"
    );
}

#[test]
fn a_number_that_is_found_twice_is_one_number() {
    let mut rig = Rig::new(|_| {});
    rig.offer(4);
    let sent = rig.send_one();
    rig.answer(&sent, 400);
    let sent = successor(&rig).tick().send();

    assert_eq!(
        sent.len(),
        3 + 1,
        "the halves, and what they were halves of"
    );
    assert_eq!(
        sent[3].losses(),
        [loss("vm_crash", 0, 4, NUMBERS_PER_CHECKPOINT)]
    );
}
