//! What is kept in shared data, where any other plugin of the process may write.

use super::*;

const LIST: &str = "audit_filter.1.seats";
const NOTE: &str = "audit_filter.1.seat.0";
const BATCH: &str = "audit_filter.1.seat.0.0";

/// The VM that is loaded in the place of a crashed one.
fn successor(crashed: &Rig) -> Rig {
    let mut successor = Rig::in_vm(Uuid::from_u128(8), Uuid::from_u128(71), &crashed.shared, |_| {});
    successor.pipeline.handle_crash(VM);
    successor.check();
    successor
}

fn bytes(rig: &Rig, name: &str) -> Vec<u8> {
    rig.shared.get(name).unwrap().0
}

/// A VM that crashes with one batch sealed, and another plugin that writes to shared data.
fn after_crash(forge: impl FnOnce(&Rig)) -> Rig {
    let mut rig = Rig::new(|_| {});
    rig.offer(3).pass(DELAY).send_one();
    rig.tick();
    forge(&rig);
    successor(&rig)
}

fn refused(rig: &Rig) -> u64 {
    rig.count(Counter::JournalRefused)
}

#[test]
fn a_forged_batch_is_refused_and_counted_and_never_delivered() {
    let forgeries: [fn(&mut Vec<u8>); 4] = [
        |batch| batch.clear(),
        |batch| batch.extend_from_slice(b"x"),
        |batch| *batch = String::from_utf8_lossy(batch).replace("\"act", "\"axt").into_bytes(),
        |batch| batch[0] ^= 1,
    ];
    for (number, forge) in forgeries.into_iter().enumerate() {
        let mut rig = after_crash(|rig| {
            let mut batch = bytes(rig, BATCH);
            forge(&mut batch);
            rig.shared.set(BATCH, &batch);
        });
        let sent = rig.tick().send_one();
        assert_eq!(sent.losses().len(), 1, "the report alone");
        assert!(!sent.body.contains("/a"), "{}", sent.body);
        assert_eq!(sent.losses()[0].0, "vm_crash");
        // An empty value says that there is none.
        assert_eq!(rig.tick().pipeline.stats.counter(Counter::JournalRefused), u64::from(number > 0));
        assert_eq!(rig.count(Counter::DroppedVmCrash), 4, "what the note has counted is lost");
        rig.answer(&sent, 200).is_empty();
    }
}

#[test]
fn a_batch_in_the_place_of_another_is_refused() {
    let mut rig = after_crash(|rig| {
        let batch = bytes(rig, BATCH);
        rig.shared.set("audit_filter.1.seat.0.1", &batch);
    });
    let sent = rig.tick().send();
    assert_eq!(sent.len(), 2, "once, and the report");
    assert_eq!(refused(rig.tick()), 1);
}

#[test]
fn a_refused_note_costs_no_batch() {
    let mut rig = after_crash(|rig| rig.shared.set(NOTE, b"forged"));
    let sent = rig.tick().send_one();
    assert_eq!(sent.numbers(), [0, 1, 2, 3]);
    assert_eq!(refused(rig.tick()), 1);
    let lines = rig.pipeline.poll_notices();
    assert!(
        lines.iter().any(|line| line.level == Level::Error && line.text.contains("entries refused: 1")),
        "{lines:?}"
    );
}

/// Nothing that lives is lost by a list that another plugin has overwritten.
#[test]
fn a_damaged_list_is_made_anew() {
    for damage in [&b"forged"[..], b"", &[7; 200]] {
        let mut rig = Rig::new(|_| {});
        let mut other = Rig::in_vm(Uuid::from_u128(8), Uuid::from_u128(71), &rig.shared, |_| {});
        for rig in [&mut rig, &mut other] {
            rig.offer(3).pass(DELAY).send_one();
            rig.tick();
        }
        rig.shared.set(LIST, damage);
        rig.tick();
        other.tick();
        let told = rig.pipeline.gauges();
        assert_eq!(rig.pipeline.stats.inherited(Gauge::BufferRecords), 0, "its share is its own");

        let mut third = Rig::in_vm(Uuid::from_u128(9), Uuid::from_u128(72), &rig.shared, |_| {});
        third.pipeline.handle_crash(VM);
        let sent = third.tick().send();
        assert_eq!(sent[0].numbers(), [0, 1, 2, 3], "{damage:?}");
        assert_eq!(third.pipeline.stats.inherited(Gauge::BufferRecords), Gauge::BufferRecords.of(&told));
        assert!(damage.is_empty() || refused(&rig) > 0);
    }
}

#[test]
fn a_journal_of_another_format_is_left_alone() {
    let names = [
        "audit_filter.seats",
        "audit_filter.seat.0",
        "audit_filter.seat.0.0",
        "audit_filter.2.seats",
        "audit_filter.2.key",
    ];
    let mut rig = Rig::new(|_| {});
    for name in names {
        rig.shared.set(name, &[1; 120]);
    }
    rig.offer(3).pass(DELAY).send_one();
    rig.tick();
    let mut next = successor(&rig);
    let sent = next.tick().send();
    assert_eq!(sent[0].numbers(), [0, 1, 2, 3]);
    assert!(names.iter().all(|name| bytes(&next, name) == [1; 120]));
    assert_eq!(refused(&next), 0);
}

#[test]
fn a_key_that_is_not_that_of_the_process_is_replaced() {
    let rig = Rig::new(|_| {});
    rig.shared.set("audit_filter.1.key", b"too short");
    let mut rig = Rig::in_vm(STREAM, VM, &rig.shared, |_| {});
    rig.offer(3).pass(DELAY).send_one();
    rig.tick();
    assert_eq!(successor(&rig).tick().send()[0].numbers(), [0, 1, 2, 3]);
}

#[test]
fn a_clock_that_jumps_loses_and_doubles_nothing() {
    const HOUR: u64 = 3_600_000_000_000;
    for jump in [HOUR, HOUR.wrapping_neg()] {
        let mut rig = Rig::new(|settings| settings.retry.max_age = Some(Duration::from_secs(60)));
        rig.started().offer(2);
        rig.now.unix_nanos = rig.now.unix_nanos.wrapping_add(jump);
        rig.offer(1);
        let sent = rig.pass(DELAY).send_one();
        rig.answer_with(&sent, Some(503), Some("Tue, 14 Nov 2023 22:13:21 GMT"), "");
        let again = rig.pass(Duration::from_secs(61)).send();
        assert_eq!(again.len(), 0, "too old by the time that has passed, not by the clock");
        assert_eq!(rig.count(Counter::DroppedMaxAge), 3);
    }
    for jump in [HOUR, HOUR.wrapping_neg()] {
        let mut rig = Rig::new(|_| {});
        rig.started().offer(2);
        rig.now.unix_nanos = rig.now.unix_nanos.wrapping_add(jump);
        rig.offer(1);
        let sent = rig.pass(DELAY).send_one();
        rig.answer(&sent, 503);
        let again = rig.pass(Duration::from_secs(1)).send_one();
        assert_eq!((again.id, again.body), (sent.id, sent.body), "no later than without the jump");
    }
}
