//! The hand-over from a configuration that has ended to another one in the same VM.

use super::*;

const NEW_STREAM: Uuid = Uuid::from_u128(9);

/// The pipeline of the configuration that comes next, in the same VM.
fn successor(rig: &Rig, change: impl FnOnce(&mut PipelineSettings)) -> Rig {
    let mut next = Rig::in_vm(NEW_STREAM, VM, &rig.shared, change);
    next.now = rig.now;
    next.tokens = 1000;
    next
}

/// Ends the first one, and hands over its records, as the adapter does.
fn hand_over(rig: &mut Rig, next: &mut Rig) {
    rig.pipeline.handle_end(rig.now);
    let handed_over = rig.pipeline.hand_over(rig.now).unwrap();
    rig.pipeline.handle_published(handed_over.gauges());
    next.pipeline.handle_hand_over(handed_over, next.now);
    rig.pipeline.retire();
    next.check();
    rig.is_empty();
}

fn stream_of(sent: &Sent) -> Uuid {
    let body: Value = serde_json::from_str(&sent.body).unwrap();
    let attributes = body["resourceLogs"][0]["scopeLogs"][0]["scope"]["attributes"]
        .as_array()
        .unwrap();
    let stream = attributes
        .iter()
        .find(|attribute| attribute["key"] == "audit.stream.id")
        .unwrap();
    stream["value"]["stringValue"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn what_could_not_be_sent_leaves_under_its_numbers_with_the_settings_of_the_successor() {
    let mut rig =
        Rig::new(|settings| settings.target.headers = vec![("authorization".into(), "old".into())]);
    rig.started().offer(4);
    let refused = rig.send_one();
    rig.answer(&refused, 401).offer(2);

    let mut next = successor(&rig, |settings| {
        settings.target.headers = vec![("authorization".into(), "new".into())]
    });
    hand_over(&mut rig, &mut next);
    let callout = next.pipeline.poll_callout(next.now).unwrap();
    assert_eq!(callout.target.headers[0].1, "new");
    let sent = next.send();
    let numbers: Vec<u64> = sent.iter().flat_map(Sent::numbers).collect();
    assert_eq!(
        numbers,
        (2..9).collect::<Vec<_>>(),
        "four, two, and the end"
    );
    assert!(
        sent.iter()
            .all(|sent| stream_of(sent) == STREAM && !sent.body.contains("audit.recovered"))
    );
    assert_eq!(sent.last().unwrap().records().last().unwrap().next, Some(9));
    for sent in &sent {
        next.answer(sent, 200);
    }
    next.is_empty();
    next.tick();
    assert_eq!(rig.shared.bytes_of_slots(), 0, "no slot is left");
}

#[test]
fn batches_keep_their_ids_and_their_size() {
    let mut rig = Rig::new(|settings| settings.batch.max_records = 4);
    rig.started().offer(4);
    let sent = rig.send_one();
    rig.offer(5);
    rig.pipeline.handle_end(rig.now);

    assert!(
        rig.pipeline.hand_over(rig.now).is_none(),
        "the answer may still come"
    );

    rig.answer(&sent, 503);
    let mut next = successor(&rig, |_| {});
    hand_over(&mut rig, &mut next);
    let again = next.send();

    assert_eq!(
        (again[0].id, again[0].numbers(), &again[0].body),
        (sent.id, sent.numbers(), &sent.body)
    );

    let sizes: Vec<usize> = again.iter().map(|sent| sent.numbers().len()).collect();
    assert_eq!(
        sizes,
        [4, 4, 2],
        "five records and the end, at most four together"
    );
}

#[test]
fn what_has_no_room_is_dropped_and_reported_in_the_name_of_its_stream() {
    let mut rig = Rig::new(|settings| settings.buffer.max_records = 10);
    rig.started().offer(3);
    let mut next = successor(&rig, |settings| settings.buffer.max_records = 2);
    hand_over(&mut rig, &mut next);
    assert_eq!(next.count(Counter::DroppedBufferFull), 1);

    let sent = next.pass(DELAY).send();
    let losses: Vec<_> = sent.iter().flat_map(Sent::losses).collect();
    assert_eq!(losses, [loss("buffer_full", 1, 4, 4)]);
    assert!(sent.iter().all(|sent| stream_of(sent) == STREAM));

    let mut numbers: Vec<u64> = sent.iter().flat_map(Sent::numbers).collect();
    numbers.sort_unstable();
    let lost = numbers.iter().position(|number| *number > 4).unwrap();
    numbers.insert(lost, 4);
    assert_eq!(
        numbers,
        (2..2 + numbers.len() as u64).collect::<Vec<_>>(),
        "no number is missing but the lost one"
    );

    let last = sent.last().unwrap().records().last().unwrap().clone();
    assert_eq!(
        last.next,
        Some(last.number + 1),
        "the end comes again behind the loss"
    );

    for sent in &sent {
        next.answer(sent, 200);
    }
    next.is_empty();
}

#[test]
fn losses_that_were_not_reported_yet_are_handed_over() {
    let mut rig = Rig::new(|settings| settings.buffer.max_records = 2);
    rig.started().offer(5);
    let mut next = successor(&rig, |_| {});
    hand_over(&mut rig, &mut next);
    let sent = next.pass(DELAY).send();
    assert_eq!(
        sent.iter().flat_map(Sent::losses).collect::<Vec<_>>(),
        [loss("buffer_full", 3, 4, 6)]
    );
}

#[test]
fn a_chain_of_updates_in_an_outage_keeps_the_limits_of_the_last_one() {
    let mut rig = Rig::new(|settings| settings.buffer.max_records = 10);
    rig.refuses = true;
    rig.offer(8);
    for round in 0..4_u128 {
        let (stream, account) = (Uuid::from_u128(20 + round), Rc::<Account>::default());
        let mut next = Rig::with(stream, VM, &rig.shared, &[], &account, |settings| {
            settings.buffer.max_records = 10;
        });
        next.now = rig.now;
        next.refuses = true;
        hand_over(&mut rig, &mut next);
        next.offer(8).pass(DELAY).send_none();
        let used = account.used();
        let exchanges = used.bulk.records + used.immediate.records;

        assert!(exchanges <= 10, "{exchanges} in round {round}");

        rig = next;
    }
}

#[test]
fn a_crash_after_a_hand_over_loses_nothing_that_was_sealed() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer(4);
    let refused = rig.send_one();
    rig.answer(&refused, 401);
    let mut next = successor(&rig, |settings| {
        settings.target.headers = vec![("authorization".into(), "new".into())]
    });
    hand_over(&mut rig, &mut next);
    next.tick();

    let mut recovered = Rig::in_vm(
        Uuid::from_u128(30),
        Uuid::from_u128(71),
        &rig.shared,
        |settings| {
            settings.target.headers = vec![("authorization".into(), "new".into())];
        },
    );
    recovered.pipeline.handle_crash(VM);
    let sent = recovered.pass(DELAY).send();
    let numbers: Vec<u64> = sent.iter().flat_map(Sent::numbers).collect();
    assert_eq!(
        numbers,
        [2, 3, 4, 5, 6],
        "four and the end; nothing is reported as lost"
    );
    for sent in &sent {
        recovered.answer(sent, 200);
    }
    recovered.tick();
    assert_eq!(rig.shared.bytes_of_slots(), 0, "both slots are free");
}

#[test]
fn only_one_that_goes_on_and_writes_alike_succeeds() {
    let mut rig = Rig::new(|_| {});
    rig.offer(1);
    let mut next = successor(&rig, |_| {});
    assert!(next.pipeline.can_succeed(&rig.pipeline));
    assert!(
        rig.pipeline.hand_over(rig.now).is_none(),
        "it goes on itself"
    );

    let other = successor(&rig, |settings| settings.target.format = Format::Ndjson);
    assert!(!other.pipeline.can_succeed(&rig.pipeline));

    next.pipeline.handle_shutdown(next.now);
    assert!(!next.pipeline.can_succeed(&rig.pipeline));
}

#[test]
fn a_process_that_ends_names_the_numbers_of_every_stream_that_is_held() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer(4);
    let refused = rig.send_one();
    rig.answer(&refused, 503).offer(3);
    let mut next = successor(&rig, |settings| settings.buffer.max_records = 8);
    next.refuses = true;
    next.offer(4).send();
    hand_over(&mut rig, &mut next);
    let _before = next.pipeline.poll_notices();
    next.pipeline.handle_last_chance(next.now);

    let lines: Vec<String> = next
        .pipeline
        .poll_notices()
        .into_iter()
        .map(|notice| notice.text)
        .collect();
    assert_eq!(
        lines,
        [
            "ends with 6 records not yet acknowledged, numbers 0 to 5".to_owned(),
            // Two are in its batches, with the end that the first one has sealed; five were lost
            // for lack of room.
            format!("ends with 8 records of stream {STREAM} not yet acknowledged, numbers 2 to 9"),
        ]
    );
}

#[test]
fn without_a_successor_it_is_counted() {
    let mut rig = Rig::new(|_| {});
    rig.started().offer(4);
    let _in_flight = rig.send_one();
    rig.offer(2);
    rig.pipeline.handle_shutdown(rig.now);
    rig.pass(DRAIN_LIMIT);

    assert_eq!(
        rig.count(Counter::DroppedAbandoned),
        7,
        "four, two, and the end"
    );
    assert_eq!(rig.pipeline.gauges(), [0; 3]);
}

/// A collector that accepts exchanges, and no other records.
#[test]
fn reports_of_a_predecessor_that_are_refused_end_in_the_log() {
    let bad = r#"{"partialSuccess":{"rejectedLogRecords":1}}"#;
    for (what, status_of_ends, body) in [
        ("rejects one of each batch with a report", 200, bad),
        ("refuses ends", 400, ""),
    ] {
        let mut rig = Rig::new(|settings| settings.buffer.max_records = 2);
        rig.started().offer(5);
        let mut next = successor(&rig, |_| {});
        hand_over(&mut rig, &mut next);
        let mut callouts = 0;

        for _ in 0..2400 {
            next.tick();
            while let sent = next.send()
                && !sent.is_empty()
            {
                for sent in sent.iter().filter(|sent| sent.is_of(STREAM)) {
                    callouts += 1;
                    let body = if sent.losses().is_empty() { "" } else { body };
                    let status = if sent.body.contains("audit.stream.end") {
                        status_of_ends
                    } else {
                        200
                    };
                    next.answer_with(sent, Some(status), None, body);
                }
            }
        }

        assert!(callouts < 20, "{what}: {callouts}");

        next.is_empty();
        let lines = next.pipeline.poll_notices();
        assert!(
            lines.iter().any(|line| line.level == Level::Error),
            "{what}: {lines:?}"
        );
    }
}

#[test]
fn what_is_in_flight_for_longer_than_a_drain_is_handed_over_all_the_same() {
    let mut rig = Rig::new(|settings| settings.target.timeout = DRAIN_LIMIT * 2);
    rig.started().offer(4);
    let sent = rig.send_one();
    let mut next = successor(&rig, |_| {});
    rig.pipeline.handle_end(rig.now);
    rig.now.uptime += DRAIN_LIMIT - Duration::from_nanos(1);

    assert!(
        rig.pipeline.hand_over(rig.now).is_none(),
        "its answer may come"
    );

    rig.now.uptime += Duration::from_nanos(1);
    next.now = rig.now;
    hand_over(&mut rig, &mut next);
    let again = next.send();

    assert_eq!(
        (again[0].id, again[0].numbers()),
        (sent.id, vec![2, 3, 4, 5])
    );
}

/// A request of the old configuration goes on for hours, and the buffer is full of records that its
/// credentials cannot deliver.
#[test]
fn one_that_goes_on_sends_where_the_newest_configuration_does() {
    let (account, shared) = (Rc::default(), Rc::default());
    let rig = |stream: u128, token: &str| {
        let mut rig = Rig::with(
            Uuid::from_u128(stream),
            VM,
            &shared,
            &[],
            &account,
            |settings| {
                settings.target.headers = vec![("authorization".to_owned(), token.to_owned())];
            },
        );
        rig.tokens = stream as u32 * 1000;
        rig
    };
    let mut old = rig(1, "expired");
    old.offer(200);
    for sent in old.tick().send() {
        old.answer(&sent, 401);
    }
    let mut new = rig(2, "valid");

    assert!(old.pipeline.can_follow(&new.pipeline) && !old.pipeline.is_draining());

    old.pipeline.follow(&new.pipeline);
    let callout = old.pipeline.poll_callout(old.now).unwrap();
    assert_eq!(callout.target.headers[0].1, "valid", "at once");

    for _ in 0..20 {
        for sent in old.tick().send() {
            old.answer(&sent, 200);
        }
    }

    new.offer(90);
    assert_eq!(
        (
            new.count(Counter::DroppedBufferFull),
            old.gauge(Gauge::BufferRecords)
        ),
        (0, 0)
    );
}

#[test]
fn losses_of_a_predecessor_that_are_given_up_are_named() {
    let mut rig = Rig::new(|settings| settings.buffer.max_records = 10);
    rig.started().offer(3);
    let mut next = successor(&rig, |settings| settings.buffer.max_records = 2);
    next.refuses = true;
    hand_over(&mut rig, &mut next);
    next.pipeline.handle_end(next.now);
    let mut lines = Vec::new();

    while !next.pipeline.is_drained(next.now) {
        next.pass(Duration::from_secs(1)).send_none();
        lines.extend(
            next.pipeline
                .poll_notices()
                .into_iter()
                .map(|line| line.text),
        );
    }

    let names =
        |line: &String| line.starts_with("loss records refused") && line.contains("buffer_full");
    assert!(lines.iter().any(names), "{lines:#?}");

    next.is_empty();
}

impl Shared {
    /// Bytes of checkpoints and batches, without the directory.
    fn bytes_of_slots(&self) -> usize {
        let values = self.values.borrow();
        values
            .iter()
            .filter(|(key, _)| key.contains(".slot."))
            .map(|(_, (value, _))| value.len())
            .sum()
    }
}
