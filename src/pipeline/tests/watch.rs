//! Streams of VMs that are gone without a word, or that stood still.

use super::super::watch::{BEAT, LOOK, LOOKS_AT_ENDED, LOOKS_AT_LIVING};
use super::*;

/// The stream of another VM of the process, with the same plugin.
fn sibling(rig: &Rig, number: u128, change: impl FnOnce(&mut Settings)) -> Rig {
    let mut sibling = Rig::in_vm(Uuid::from_u128(8 + number), Uuid::from_u128(71 + number), &rig.shared, change);
    sibling.tokens = 1000;
    sibling
}

fn look(rig: &mut Rig, times: u32) -> &mut Rig {
    for _ in 0..times {
        rig.tick();
    }
    rig
}

#[test]
fn what_a_vm_has_left_that_is_gone_without_a_word_is_taken_over() {
    let mut gone = Rig::new(|_| {});
    gone.started().offer(5).send_one();
    gone.tick();
    let told = gone.gauge(Gauge::BufferRecords);
    let mut other =
        sibling(&gone, 0, |settings| settings.target.headers = vec![("authorization".to_owned(), "new".to_owned())]);
    look(&mut other, LOOKS_AT_LIVING).send_none();
    let sent = look(&mut other, 2).send();
    assert_eq!(sent[0].numbers(), [2, 3, 4, 5], "with other credentials, too");
    assert_eq!(
        sent[1].losses(),
        [loss("vm_crash", 1, 6, 6 + super::super::journal::LEASE)],
        "the sixth was in no batch"
    );
    let inherited = other.pipeline.stats.inherited(Gauge::BufferRecords);
    assert_eq!((inherited, other.count(Counter::DroppedVmCrash)), (told, 1));
    other.answer(&sent[0], 200).answer(&sent[1], 200).is_empty();
}

#[test]
fn a_vm_that_lives_is_left_alone_however_little_it_does() {
    let mut rig = Rig::new(|_| {});
    rig.offer(4).send_one();
    let mut other = sibling(&rig, 0, |_| {});
    for _ in 0..40 {
        rig.pass(BEAT);
        look(&mut other, LOOKS_AT_LIVING / 4).send_none();
    }
}

/// A process that stood still sees one look, however long that took.
#[test]
fn time_alone_makes_no_vm_gone() {
    let mut rig = Rig::new(|_| {});
    rig.offer(4).send_one();
    let mut other = sibling(&rig, 0, |_| {});
    for _ in 0..LOOKS_AT_LIVING {
        other.pass(Duration::from_secs(3600)).send_none();
        other.pass(LOOK / 10);
    }
}

#[test]
fn the_end_of_a_vm_hands_over_everything() {
    for (key, is_answered) in [("its VM survives", true), ("its VM ends", false)] {
        let mut rig = Rig::new(|_| {});
        rig.started().refuses = true;
        rig.offer(6).send();
        rig.pipeline.handle_last_chance(rig.now);
        rig.send();
        rig.tick();
        rig.pipeline.handle_last_words();
        let told = rig.gauge(Gauge::BufferRecords);
        assert_eq!(told, 7, "and the end of the stream");

        let mut other = sibling(&rig, 0, |_| {});
        for _ in 0..LOOKS_AT_ENDED * 2 {
            if is_answered {
                rig.pass(LOOK);
            }
            other.tick();
        }
        let sent = other.send();
        if is_answered {
            assert!(sent.is_empty(), "{key}");
            continue;
        }
        let numbers: Vec<u64> = sent.iter().flat_map(Sent::numbers).collect();
        assert_eq!(numbers, [2, 3, 4, 5, 6, 7, 8], "{key}: nothing is lost, so nothing is told as lost");
        for sent in &sent {
            other.answer(sent, 200);
        }
        other.tick();
        other.is_empty();
        assert_eq!(other.count(Counter::DroppedVmCrash), 0);
        assert_eq!(other.shared.kept(), ["audit_filter.1.seat.1"], "its own note");
    }
}

#[test]
fn another_plugin_takes_nothing() {
    let mut gone = Rig::new(|_| {});
    gone.offer(4).send_one();
    let mut other = sibling(&gone, 0, |settings| settings.target.format = Format::Ndjson);
    look(&mut other, 2 * LOOKS_AT_LIVING).send_none();
}

#[test]
fn one_of_several_takes_over() {
    let mut gone = Rig::new(|_| {});
    gone.offer(4).send_one();
    let mut others = [sibling(&gone, 0, |_| {}), sibling(&gone, 1, |_| {})];
    for _ in 0..LOOKS_AT_LIVING + 3 {
        for other in &mut others {
            other.tick();
        }
    }
    assert_eq!(others[0].send()[0].numbers(), [0, 1, 2, 3]);
    others[1].send_none();
}

/// It was taken for gone, and goes on.
#[test]
fn a_vm_that_stood_still_goes_on_in_a_new_stream() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer(5);
    let before = rig.send_one();
    rig.tick();
    let ticket = rig.hold();
    let told = rig.gauge(Gauge::BufferRecords) - 1;
    let mut other = sibling(&rig, 0, |_| {});
    let sent = look(&mut other, LOOKS_AT_LIVING + 2).send();
    assert_eq!(sent[0].id, before.id);

    rig.tick();
    assert_ne!(rig.pipeline.stream_id(), STREAM, "its numbers are its own");
    assert_eq!(rig.decisions(), [(ticket, false)]);
    assert_eq!(rig.pipeline.stats.inherited(Gauge::BufferRecords), told.wrapping_neg());
    let again = rig.pass(DELAY).send();
    assert!(again.iter().all(|sent| sent.body.contains(&STREAM.to_string())), "what has a number of the old stream");
    rig.answer(&before, 200);
    for sent in &again {
        rig.answer(sent, 200);
    }
    rig.offer(1);
    let sent = rig.pass(DELAY).send_one();
    assert_eq!(sent.numbers(), [0, 1], "a start and a record");
    rig.answer(&sent, 200);
    assert_eq!(rig.gauge(Gauge::BufferRecords), 0);

    let mut third = sibling(&rig, 1, |_| {});
    rig.offer(4).send_one();
    third.pipeline.handle_crash(VM);
    let sent = third.tick().send();
    assert!(sent.iter().any(|sent| sent.numbers() == [2, 3, 4, 5]), "its new seat outlives a crash");
}
