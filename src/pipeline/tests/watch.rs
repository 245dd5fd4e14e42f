//! Streams of VMs that ended silently, or that stood still.

use super::super::watch::{
    HEARTBEAT_INTERVAL, SCAN_INTERVAL, SILENT_SCANS_ENDED, SILENT_SCANS_LIVING,
};
use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// The stream of another VM of the process, with the same plugin.
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

fn scan(rig: &mut Rig, times: u32) -> &mut Rig {
    for _ in 0..times {
        rig.tick();
    }
    rig
}

#[test]
fn records_of_a_vm_that_ended_silently_are_taken_over() {
    let mut gone = Rig::new(|_| {});
    gone.started().offer(5).send_one();
    gone.tick();
    let published = gone.gauge(Gauge::BufferRecords);
    let mut other = sibling(&gone, 0, |settings| {
        settings.target.headers = vec![("authorization".to_owned(), "new".to_owned())]
    });
    scan(&mut other, SILENT_SCANS_LIVING).send_none();
    let sent = scan(&mut other, 2).send();

    assert_eq!(
        sent[0].numbers(),
        [2, 3, 4, 5],
        "with other credentials, too"
    );
    assert_eq!(
        sent[1].losses(),
        [loss(
            "vm_crash",
            1,
            6,
            6 + super::super::journal::NUMBERS_PER_CHECKPOINT
        )],
        "the sixth was in no batch"
    );

    let inherited = other.stats.inherited(Gauge::BufferRecords);
    assert_eq!(
        (inherited, other.count(Counter::DroppedVmCrash)),
        (published, 1)
    );

    other.answer(&sent[0], 200).answer(&sent[1], 200).is_empty();
}

#[test]
fn a_vm_that_lives_is_left_alone_however_little_it_does() {
    let mut rig = Rig::new(|_| {});
    rig.offer(4).send_one();
    let mut other = sibling(&rig, 0, |_| {});
    for _ in 0..40 {
        rig.pass(HEARTBEAT_INTERVAL);
        scan(&mut other, SILENT_SCANS_LIVING / 4).send_none();
    }
}

/// A process that stood still makes one scan, however long that took.
#[test]
fn time_alone_makes_no_vm_gone() {
    let mut rig = Rig::new(|_| {});
    rig.offer(4).send_one();
    let mut other = sibling(&rig, 0, |_| {});
    for _ in 0..SILENT_SCANS_LIVING {
        other.pass(Duration::from_secs(3600)).send_none();
        other.pass(SCAN_INTERVAL / 10);
    }
}

#[test]
fn the_end_of_a_vm_hands_over_everything() {
    for (key, is_answered) in [("its VM survives", true), ("its VM ends", false)] {
        let mut rig = Rig::new(|_| {});
        rig.started().refuses = !is_answered;
        rig.offer(6).send();
        rig.pipeline.handle_last_chance(rig.now);
        rig.send();
        rig.tick();
        rig.pipeline.handle_vm_end();
        let published = rig.gauge(Gauge::BufferRecords);
        assert_eq!(published, 7, "and the end of the stream");

        let mut other = sibling(&rig, 0, |_| {});
        for _ in 0..SILENT_SCANS_ENDED * 2 {
            if is_answered {
                rig.pass(SCAN_INTERVAL);
            }
            other.tick();
        }
        let sent = other.send();
        if is_answered {
            assert!(sent.is_empty(), "{key}");
            continue;
        }
        let numbers: Vec<u64> = sent.iter().flat_map(Sent::numbers).collect();
        assert_eq!(
            numbers,
            [2, 3, 4, 5, 6, 7, 8],
            "{key}: nothing is lost, so nothing is reported as lost"
        );
        for sent in &sent {
            other.answer(sent, 200);
        }
        other.tick();
        other.is_empty();
        assert_eq!(other.count(Counter::DroppedVmCrash), 0);
        assert_eq!(
            other.shared.kept(),
            [other.shared.named(".slot.1")],
            "its own note"
        );
    }
}

#[test]
fn another_plugin_takes_nothing() {
    let mut gone = Rig::new(|_| {});
    gone.offer(4).send_one();
    let mut other = sibling(&gone, 0, |settings| settings.target.format = Format::Ndjson);
    scan(&mut other, 2 * SILENT_SCANS_LIVING).send_none();
}

#[test]
fn one_of_several_takes_over() {
    let mut gone = Rig::new(|_| {});
    gone.offer(4).send_one();
    let mut others = [sibling(&gone, 0, |_| {}), sibling(&gone, 1, |_| {})];
    for _ in 0..SILENT_SCANS_LIVING + 3 {
        for other in &mut others {
            other.tick();
        }
    }

    assert_eq!(others[0].send()[0].numbers(), [0, 1, 2, 3]);

    others[1].send_none();
}

/// It counted as gone, and goes on.
#[test]
fn a_vm_that_stood_still_goes_on_in_a_new_stream() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer(5);
    let before = rig.send_one();
    rig.tick();
    let ticket = rig.hold();
    let published = rig.gauge(Gauge::BufferRecords) - 1;
    let mut other = sibling(&rig, 0, |_| {});
    let sent = scan(&mut other, SILENT_SCANS_LIVING + 2).send();
    assert_eq!(sent[0].id, before.id);

    rig.tick();
    assert_ne!(rig.pipeline.stream_id(), STREAM, "its numbers are its own");
    assert_eq!(rig.decisions(), [(ticket, false)]);
    assert_eq!(
        rig.stats.inherited(Gauge::BufferRecords),
        published.wrapping_neg()
    );
    let again = rig.pass(DELAY).send();
    assert!(
        again
            .iter()
            .all(|sent| sent.body.contains(&STREAM.to_string())),
        "what has a number of the old stream"
    );
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
    assert!(
        sent.iter().any(|sent| sent.numbers() == [2, 3, 4, 5]),
        "its new slot outlives a crash"
    );
}

/// Another filter may live in the old VM, so that it goes on while the new configuration has a
/// separate VM.
#[test]
fn a_vm_that_survives_without_success_leaves_its_records_to_another_one() {
    let credentials = |token: &'static str| {
        move |settings: &mut PipelineSettings| {
            settings.target.headers = vec![("authorization".to_owned(), token.to_owned())]
        }
    };
    let mut old = Rig::new(credentials("expired"));
    old.started().offer(4);
    let refused = old.send_one();
    old.answer(&refused, 401).offer(2);
    let mut new = Rig::in_vm(
        Uuid::from_u128(8),
        Uuid::from_u128(71),
        &old.shared,
        credentials("valid"),
    );
    new.tokens = 1000;
    old.pipeline.handle_last_chance(old.now);
    for sent in &old.send() {
        old.answer(sent, 401);
    }
    old.publish();
    old.pipeline.handle_vm_end();

    let mut numbers = Vec::new();
    for _ in 0..SILENT_SCANS_ENDED * 3 {
        for sent in old.tick().send() {
            old.answer(&sent, 401);
        }
        old.pipeline.offer(true, old.now);
        for sent in new.tick().send() {
            numbers.extend(sent.numbers());
            new.answer(&sent, 200);
        }
    }
    assert_eq!(
        numbers,
        (2..9).collect::<Vec<_>>(),
        "four, two, and the end"
    );
    assert!(old.pipeline.is_drained(old.now));
    old.is_empty();
    new.is_empty();
    let lost =
        |rig: &Rig| rig.count(Counter::DroppedAbandoned) + rig.count(Counter::DroppedVmCrash);
    assert_eq!((lost(&old), lost(&new)), (0, 0));
}

/// Ids of the records that have a number, of the first stream.
fn ids_by_number(sent: &[Sent]) -> BTreeMap<u64, BTreeSet<String>> {
    let mut ids: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for sent in sent.iter().filter(|sent| sent.is_of(STREAM)) {
        for (number, id) in sent.numbers().into_iter().zip(sent.ids()) {
            ids.entry(number).or_default().insert(id);
        }
    }
    ids
}

#[track_caller]
fn assert_no_number_twice(sent: &[Sent]) {
    let ids = ids_by_number(sent);
    assert!(
        ids.len() >= 3 && ids.values().all(|ids| ids.len() == 1),
        "{ids:?}"
    );
}

#[test]
fn a_burst_after_a_standstill_has_numbers_of_its_own() {
    let mut rig = Rig::new(|settings| {
        settings.buffer.max_records = 1000;
        settings.batch.max_records = 50;
    });
    rig.started().offer(5).tick();
    let mut other = sibling(&rig, 0, |_| {});
    let mut all = Vec::new();
    for _ in 0..SILENT_SCANS_LIVING + 3 {
        all.extend(other.tick().send());
    }
    // All records of the pause come in one turn of the event loop, before a tick.
    rig.now.uptime += Duration::from_secs(31);
    rig.offer(150);
    all.extend(rig.send());
    all.extend(rig.tick().pass(DELAY).send());

    assert_no_number_twice(&all);
}

#[test]
fn a_short_standstill_of_one_that_ends_is_enough_to_scan() {
    let bad = r#"{"partialSuccess":{"rejectedLogRecords":1}}"#;
    let mut rig = Rig::new(|_| {});
    rig.started().offer(1);
    rig.pipeline.handle_last_chance(rig.now);
    let batch = rig.send_one();
    rig.tick().pipeline.handle_vm_end();
    let mut other = sibling(&rig, 0, |_| {});
    let mut all = vec![batch.clone()];

    for _ in 0..SILENT_SCANS_ENDED + 7 {
        for sent in other.tick().send() {
            other.answer_with(
                &sent,
                Some(200),
                None,
                if sent.losses().is_empty() { bad } else { "" },
            );
            all.push(sent);
        }
    }

    rig.now.uptime += Duration::from_secs(4);
    rig.answer_with(&batch, Some(200), None, bad);
    all.extend(rig.send());
    assert_no_number_twice(&all);
}
