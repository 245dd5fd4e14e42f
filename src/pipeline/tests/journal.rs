//! The journal in shared data, where any other plugin of the process may write.

use super::*;

const DIRECTORY: &str = ".directory";
const CHECKPOINT: &str = ".slot.0";
const BATCH: &str = ".slot.0.0";

/// The VM that is loaded in the place of a crashed one.
fn successor(crashed: &Rig) -> Rig {
    let mut successor = Rig::in_vm(
        Uuid::from_u128(8),
        Uuid::from_u128(71),
        &crashed.shared,
        |_| {},
    );
    successor.pipeline.handle_crash(VM);
    successor.check();
    successor
}

/// The value with this end of its name.
fn bytes(rig: &Rig, end: &str) -> Vec<u8> {
    rig.shared.get(&rig.shared.named(end)).unwrap().0
}

fn forge(rig: &Rig, end: &str, value: &[u8]) {
    rig.shared.set(&rig.shared.named(end), value);
}

/// A VM that crashes with one batch sealed, and another plugin that writes to shared data.
fn after_crash(write: impl FnOnce(&Rig)) -> Rig {
    let mut rig = Rig::new(|_| {});
    rig.offer(3).pass(DELAY).send_one();
    rig.tick();
    write(&rig);
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
        |batch| {
            *batch = String::from_utf8_lossy(batch)
                .replace("\"act", "\"axt")
                .into_bytes()
        },
        |batch| batch[0] ^= 1,
    ];

    for (number, change) in forgeries.into_iter().enumerate() {
        let mut rig = after_crash(|rig| {
            let mut batch = bytes(rig, BATCH);
            change(&mut batch);
            forge(rig, BATCH, &batch);
        });
        let sent = rig.tick().send_one();

        assert!(!sent.body.contains("/a"), "{}", sent.body);

        // An empty value means no batch. Otherwise its numbers may be any without a known end.
        let loss = if number == 0 {
            ("vm_crash".to_owned(), 0, 4, 103)
        } else {
            ("vm_crash".to_owned(), 4, 0, 103)
        };

        assert_eq!(sent.losses(), [loss], "the report alone");
        assert_eq!(
            rig.tick().stats.counter(Counter::JournalRefused),
            u64::from(number > 0)
        );
        assert_eq!(
            rig.count(Counter::DroppedVmCrash),
            4,
            "what the note has counted is lost"
        );

        rig.answer(&sent, 200).is_empty();
    }
}

#[test]
fn a_batch_in_the_place_of_another_is_refused() {
    let mut rig = after_crash(|rig| {
        let batch = bytes(rig, BATCH);
        let other = rig.shared.named(BATCH).replace(".0.0", ".0.1");
        rig.shared.set(&other, &batch);
    });
    let sent = rig.tick().send();
    assert_eq!(sent.len(), 2, "once, and the report");
    assert_eq!(refused(rig.tick()), 1);
}

#[test]
fn a_refused_checkpoint_costs_no_batch_and_no_number_is_given_twice() {
    let mut rig = after_crash(|rig| forge(rig, CHECKPOINT, b"forged"));
    let most = rig.pipeline.common.settings.buffer.max_records as u64;
    let sent = rig.tick().send();
    assert_eq!(sent[0].numbers(), [0, 1, 2, 3]);
    assert_eq!(
        sent[1].losses(),
        [("vm_crash".to_owned(), most, 4, most + 3)],
        "as many as can have been held"
    );
    assert_eq!(sent[1].numbers(), [most + 4], "beyond");
    assert_eq!(refused(rig.tick()), 1);

    let lines = rig.pipeline.poll_notices();
    assert!(
        lines
            .iter()
            .any(|line| line.level == Level::Error && line.text.contains("entries refused: 1")),
        "{lines:?}"
    );
}

#[test]
fn where_checkpoint_and_a_batch_are_refused_every_number_that_may_be_lost_is_reported() {
    let mut rig = Rig::new(|_| {});
    for _ in 0..2 {
        rig.offer(3).pass(DELAY);
        rig.send();
    }

    rig.tick();
    forge(&rig, CHECKPOINT, b"forged");
    forge(&rig, BATCH, b"forged");
    let mut rig = successor(&rig);
    let most = rig.pipeline.common.settings.buffer.max_records as u64;
    let sent = rig.tick().send();

    assert_eq!(sent[0].numbers(), [4, 5, 6]);
    assert_eq!(
        sent[1].losses(),
        [("vm_crash".to_owned(), most + 4, 0, most + 6)]
    );
    assert_eq!(refused(rig.tick()), 2);
}

#[test]
fn a_refused_batch_among_acknowledged_ones_is_reported_as_the_rest() {
    let mut rig = Rig::new(|_| {});
    let first = rig.offer(3).pass(DELAY).send_one();
    rig.answer(&first, 200);
    rig.offer(2).pass(DELAY).send_one();
    rig.tick();
    let mut batch = bytes(&rig, BATCH);
    batch[0] ^= 1;
    forge(&rig, BATCH, &batch);
    let mut rig = successor(&rig);
    let sent = rig.tick().send_one();

    assert_eq!(
        sent.losses(),
        [("vm_crash".to_owned(), 2, 4, 105)],
        "what was acknowledged is not named"
    );
    assert_eq!(rig.tick().stats.counter(Counter::DroppedVmCrash), 2);
}

/// A directory that another plugin has overwritten loses no living stream.
#[test]
fn a_damaged_directory_begins_anew() {
    for damage in [&b"forged"[..], b"", &[7; 200]] {
        let mut rig = Rig::new(|_| {});
        let mut other = Rig::in_vm(Uuid::from_u128(8), Uuid::from_u128(71), &rig.shared, |_| {});
        for rig in [&mut rig, &mut other] {
            rig.offer(3).pass(DELAY).send_one();
            rig.tick();
        }
        forge(&rig, DIRECTORY, damage);
        rig.tick();
        other.tick();
        let published = rig.pipeline.gauges();
        assert_eq!(
            rig.stats.inherited(Gauge::BufferRecords),
            0,
            "its share is its own"
        );

        let mut third = Rig::in_vm(Uuid::from_u128(9), Uuid::from_u128(72), &rig.shared, |_| {});
        third.pipeline.handle_crash(VM);
        let sent = third.tick().send();
        assert_eq!(sent[0].numbers(), [0, 1, 2, 3], "{damage:?}");
        assert_eq!(
            third.stats.inherited(Gauge::BufferRecords),
            Gauge::BufferRecords.of(&published)
        );
        assert!(damage.is_empty() || refused(&rig) > 0);
    }
}

#[test]
fn a_journal_of_another_format_is_left_alone() {
    let names = [
        "audit_filter.directory",
        "audit_filter.slot.0",
        "audit_filter.slot.0.0",
        "audit_filter.1.directory",
        "audit_filter.1.key",
        "audit_filter.3.keys",
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
    assert!(
        names
            .iter()
            .all(|name| next.shared.get(name).unwrap().0 == [1; 120])
    );
    assert_eq!(refused(&next), 0);
}

#[test]
fn a_key_that_is_not_that_of_the_process_is_replaced() {
    let rig = Rig::new(|_| {});
    rig.shared.set("audit_filter.2.keys", b"too short");
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

        assert_eq!(
            again.len(),
            0,
            "too old by the time that has passed, not by the clock"
        );
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
        assert_eq!(
            (again.id, again.body),
            (sent.id, sent.body),
            "no later than without the jump"
        );
    }
}

/// A stream in a separate VM, with the keys of its environment.
fn keyed(stream: u128, shared: &Rc<Shared>, keys: &[&str]) -> Rig {
    let [stream, vm] = [stream, stream + 100].map(Uuid::from_u128);
    let mut rig = Rig::with(stream, vm, shared, keys, &Rc::default(), |_| {});
    rig.tokens = stream.as_u128() as u32 * 1000;
    rig
}

/// All numbers of a stream that this one sends in 50 s, its loss records included.
fn numbers_of(stream: u128, rig: &mut Rig, meanwhile: &mut dyn FnMut()) -> Vec<u64> {
    let mut numbers = Vec::new();
    for _ in 0..200 {
        for sent in rig.tick().send() {
            if sent.is_of(Uuid::from_u128(stream)) {
                numbers.extend(sent.numbers());
            }
            rig.answer(&sent, 200);
        }
        meanwhile();
    }

    numbers
}

#[test]
fn plugins_with_different_keys_leave_each_other_alone() {
    let shared: Rc<Shared> = Rc::default();
    let (mut one, mut two) = (keyed(1, &shared, &["k1"]), keyed(2, &shared, &[]));
    for rig in [&mut one, &mut two] {
        rig.offer(4).send_one();
        rig.tick();
    }
    let before = shared.writes.get();
    for _ in 0..400 {
        one.pass(Duration::from_millis(100));
        two.pass(Duration::from_millis(100));
    }
    assert!(
        shared.writes.get() - before < 100,
        "signs of life alone: {}",
        shared.writes.get() - before
    );
    assert_eq!((refused(&one), refused(&two)), (0, 0));

    let mut next = keyed(3, &shared, &["k1"]);
    next.pipeline.handle_crash(Uuid::from_u128(101));
    assert_eq!(next.tick().send()[0].numbers(), [0, 1, 2, 3]);
}

/// Two workers have the old key when the new one comes. One ends, and the other goes on for a
/// while.
#[test]
fn a_key_is_replaced_while_old_vms_live() {
    let shared: Rc<Shared> = Rc::default();
    let (mut first, mut second) = (keyed(1, &shared, &["k1"]), keyed(2, &shared, &["k1"]));
    first.started().refuses = true;
    second.refuses = true;
    first.offer(6).send();
    second.offer(4).send();
    let mut new = keyed(3, &shared, &["k2", "k1"]);
    let sent = new.offer(4).send_one();
    new.answer(&sent, 200);
    for _ in 0..20 {
        for rig in [&mut new, &mut first, &mut second] {
            rig.tick();
        }
    }
    first.pipeline.handle_last_chance(first.now);
    first.send();
    first.tick().pipeline.handle_vm_end();

    let numbers = numbers_of(1, &mut new, &mut || {
        second.tick();
    });
    assert_eq!(numbers, (2..9).collect::<Vec<_>>(), "six, and the end");
    assert_eq!((refused(&new), refused(&second)), (0, 0));
}

#[test]
fn what_a_key_of_the_process_has_tagged_is_found_after_it_was_overwritten() {
    let shared: Rc<Shared> = Rc::default();
    let (mut first, mut second) = (keyed(1, &shared, &[]), keyed(2, &shared, &[]));
    for rig in [&mut first, &mut second] {
        rig.offer(4).send_one();
        rig.tick();
    }

    shared.set("audit_filter.2.keys", b"overwritten by a careless plugin");
    let mut new = keyed(3, &shared, &[]);
    second.tick();
    new.tick().pipeline.handle_crash(Uuid::from_u128(101));

    assert_eq!(numbers_of(1, &mut new, &mut || {})[..4], [0, 1, 2, 3]);
}

/// Batches that wait for room in a claimed slot, and losses of a predecessor that are not reported
/// yet.
#[test]
fn a_damaged_directory_takes_nothing_of_what_was_taken_over() {
    let small = |settings: &mut PipelineSettings| settings.buffer.max_records = 8;
    let mut rig = Rig::new(small);
    rig.offer(7).send();
    rig.tick();
    let mut next = Rig::in_vm(Uuid::from_u128(9), Uuid::from_u128(71), &rig.shared, small);
    next.tokens = 1000;
    next.refuses = true;
    next.offer(6).pipeline.handle_crash(VM);
    next.tick().send_none();
    forge(&rig, DIRECTORY, b"forged");
    next.refuses = false;
    let (mut numbers, mut published) = (Vec::new(), 0);

    for _ in 0..20 {
        for sent in next.pass(Duration::from_secs(31)).send() {
            if sent.is_of(STREAM) {
                published += sent
                    .losses()
                    .iter()
                    .map(|(_, count, ..)| count)
                    .sum::<u64>();
                numbers.extend(sent.numbers());
            }
            next.answer(&sent, 200);
        }
    }

    assert_eq!(
        (&numbers[..8], published),
        (&[0, 1, 2, 3, 4, 5, 6, 7][..], 0)
    );
    assert_eq!(next.count(Counter::DroppedVmCrash), 0);
}

#[test]
fn a_slot_is_emptied_when_it_is_acquired() {
    let shared: Rc<Shared> = Rc::default();
    let (mut one, mut two) = (keyed(1, &shared, &[]), keyed(2, &shared, &[]));
    let sent = one.offer(11).send();
    two.offer(3).send_one();
    one.tick();
    two.tick();
    shared.set(&shared.named(DIRECTORY), b"forged");
    two.tick();
    one.tick();
    for sent in &sent {
        one.answer(sent, 200);
    }
    one.tick().is_empty();
    let mut next = keyed(3, &shared, &[]);
    next.pipeline.handle_crash(Uuid::from_u128(102));
    let again = next.tick().send();

    assert_eq!(
        again[0].numbers(),
        [0, 1, 2, 3],
        "of the one that has crashed"
    );
    assert!(
        !again
            .iter()
            .any(|again| sent.iter().any(|sent| sent.id == again.id)),
        "acknowledged long ago"
    );
    assert_eq!(
        refused(next.tick()),
        0,
        "what the earlier owner has left is gone"
    );
}

/// One that is put back where another stream has the slot now.
#[test]
fn the_entry_of_an_earlier_owner_is_refused() {
    let shared: Rc<Shared> = Rc::default();
    let mut one = keyed(1, &shared, &[]);
    let sent = one.offer(3).pass(DELAY).send_one();
    let old = shared.get(&shared.named(BATCH)).unwrap().0;
    one.answer(&sent, 200);
    one.pipeline.handle_end(one.now);
    let end = one.send_one();
    one.answer(&end, 200).pipeline.close();

    let mut two = keyed(2, &shared, &[]);
    two.offer(3).pass(DELAY).send_one();
    two.tick();
    shared.set(&shared.named(BATCH), &old);
    let mut next = keyed(3, &shared, &[]);
    next.pipeline.handle_crash(Uuid::from_u128(102));
    assert!(next.tick().send().iter().all(|again| again.id != sent.id));
    assert_eq!(refused(next.tick()), 1);
}
