//! Findings on records that came out at the far end.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::completeness::{Life, Status};
use crate::time::SECOND;

/// When the records of [`record`] were made.
const MADE: i64 = 1_800_000_000 * SECOND;

const LATER: Moment = Moment {
    now: MADE + 3_600 * SECOND,
    grace: 300 * SECOND,
};

/// A line of the filter, with more or other keys.
fn record(number: i64, more: &Value) -> Value {
    let mut record = json!({
        "time_unix_nano": MADE, "observed_time_unix_nano": MADE, "event_name": "audit.http",
        "log.record.uid": format!("aud_{number}"), "audit.stream.id": "s", "service.name": "shop",
        "audit.sequence.number": number, "audit.sequence.next": number + 1, "user.id": "ann",
    });
    record
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    record
}

fn findings(records: &[Value], moment: Moment) -> Findings {
    proof(records, moment).unwrap()
}

fn proof(records: &[Value], moment: Moment) -> Result<Findings, Unproved> {
    let mut far_end = FarEnd::default();
    let lines: Vec<_> = records.iter().map(Value::to_string).collect();
    read_lines(&mut lines.join("\n").as_bytes(), |content| {
        far_end.add(content)
    })
    .unwrap();
    far_end.findings(moment)
}

fn gaps(found: &Findings) -> Vec<(i64, i64)> {
    let gaps = &found.completeness.streams[0].gaps;
    gaps.iter()
        .map(|gap| (gap.first_number, gap.last_number))
        .collect()
}

#[test]
fn numbers_that_did_not_arrive_are_named_whatever_the_order() {
    let records = [7, 0, 1, 4].map(|number| record(number, &json!({})));
    let found = findings(&records, LATER);
    assert!(!found.is_complete());
    assert_eq!(gaps(&found), [(2, 3), (5, 6)]);
    assert_eq!(found.completeness.status, Status::Gap);

    let found = findings(&records, Moment { now: MADE, ..LATER });
    assert!(found.is_complete(), "they may still come");
    assert_eq!(found.completeness.open_numbers, 4);
}

#[test]
fn the_time_of_receipt_counts_where_the_line_has_one() {
    let receipt = (LATER.now - SECOND).to_string();
    let records = [0, 2].map(|number| record(number, &json!({"received_at_unix_nano": receipt})));
    assert_eq!(findings(&records, LATER).completeness.open_numbers, 1);
}

#[test]
fn a_gap_between_records_without_a_time_is_not_open_for_ever() {
    let no_time = json!({"time_unix_nano": 0, "observed_time_unix_nano": 0});
    let records = [0, 2].map(|number| record(number, &no_time));
    assert_eq!(
        findings(&records, LATER).completeness.unexplained_numbers,
        1
    );
}

#[test]
fn a_repeat_counts_once_however_it_was_delivered() {
    let other_batch = json!({"audit.batch.id": "b", "audit.recovered": true, "audit.sequence.next": 2,
        "timestamp": "now", "k8s.pod.name": "p"});
    let records = [
        record(0, &json!({})),
        record(1, &json!({})),
        record(1, &other_batch),
    ];
    let found = findings(&records, LATER);
    assert!(found.is_complete(), "{found:?}");
    assert_eq!(
        (found.records, found.repeated_records, found.not_compared),
        (3, 1, 0)
    );
    assert_eq!(found.completeness.streams[0].received, 2);
}

#[test]
fn records_that_contradict_each_other_are_named() {
    let bob = json!({"user.id": "bob"});
    let other_uid = json!({"log.record.uid": "aud_7"});
    for (more, uid, kind) in [
        (bob, "aud_0", ContradictionKind::Conflict),
        (other_uid, "aud_7", ContradictionKind::Number),
    ] {
        let found = findings(&[record(0, &json!({})), record(0, &more)], LATER);
        let named = Contradiction {
            stream_id: "s".to_owned(),
            number: 0,
            uid: uid.to_owned(),
            kind,
        };
        assert_eq!(
            (found.is_complete(), &*found.contradictions),
            (false, &[named][..])
        );
        assert_eq!(found.completeness.conflicts, 1);
    }
}

#[test]
fn what_a_pipeline_took_from_the_records_is_no_proof() {
    let gone = |name: &str| {
        let mut record = record(0, &json!({}));
        record.as_object_mut().unwrap().remove(name);
        record
    };

    for name in ["audit.stream.id", "audit.sequence.number"] {
        let found = findings(&[record(0, &json!({})), gone(name)], LATER);
        assert_eq!((found.damaged_records, found.is_complete()), (1, false));
    }

    let found = findings(&[json!({"message": "audit_sequence_number=0"})], LATER);
    assert_eq!((found.other_records, found.is_complete()), (1, false));
    assert!(findings(&[], LATER).is_complete());
}

#[test]
fn records_of_other_senders_are_counted_and_do_no_harm() {
    let found = findings(&[json!({"body": "x"}), record(0, &json!({}))], LATER);
    assert_eq!(
        (found.records, found.other_records, found.is_complete()),
        (2, 1, true)
    );
}

#[test]
fn a_store_of_texts_gives_the_same_findings() {
    let texts = |number: i64, body: &str| {
        json!({"time_unix_nano": MADE.to_string(), "body": body, "log.record.uid": format!("aud_{number}"),
            "audit.stream.id": "s", "audit.sequence.number": number.to_string()})
    };
    let with = |mut record: Value, more: Value| {
        record
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        record
    };

    let start =
        json!({"audit.stream.alive_interval_ms": "30000", "audit.buffer.max_records": "100"});
    let loss = json!({"audit.loss.first_number": "1", "audit.loss.last_number": "2",
        "audit.loss.count": "2", "audit.loss.reason": "buffer_full"});
    let mut records = vec![
        with(texts(0, "audit.stream.start"), start),
        with(texts(3, "audit.loss"), loss),
        texts(4, "GET /check success"),
    ];
    let found = findings(&records, LATER);
    let stream = &found.completeness.streams[0];
    assert!(found.is_complete() && stream.started, "{stream:?}");
    assert_eq!((stream.explained_losses, stream.life), (2, Life::Silent));
    assert_eq!(stream.unknown_at_most, Some(100));

    let next = json!({"audit.sequence.next": "7"});
    records.push(with(texts(6, "audit.stream.end"), next));
    let found = findings(&records, LATER);
    assert_eq!(
        (gaps(&found), found.completeness.streams[0].life),
        (vec![(5, 5)], Life::Ended)
    );
}

#[test]
fn the_highest_announced_number_of_repeats_counts_whatever_the_order() {
    let sealed = |next: i64| record(0, &json!({"audit.sequence.next": next}));
    for order in [[1, 10], [10, 1]] {
        let found = findings(&order.map(sealed), LATER);
        assert_eq!(gaps(&found), [(1, 9)], "{order:?}");
    }
}

/// A record as each delivery of it may come.
fn delivery(number: i64, next: i64) -> Value {
    let event = match number {
        0 => json!({"event_name": "audit.stream.start", "audit.stream.alive_interval_ms": 30_000}),
        6 => json!({"event_name": "audit.loss", "audit.loss.first_number": 2,
            "audit.loss.last_number": 4, "audit.loss.count": 3, "audit.loss.reason": "buffer_full"}),
        _ => json!({}),
    };
    let mut delivered = record(number, &event);
    delivered["audit.sequence.next"] = next.into();
    delivered["received_at_unix_nano"] = (MADE + next * SECOND).to_string().into();
    delivered
}

#[test]
fn all_records_of_two_files_are_there_whatever_the_holes_in_between() {
    let halves = (0..40_000).step_by(2).chain((1..40_000).step_by(2));
    let records: Vec<_> = halves.map(|number| record(number, &json!({}))).collect();
    let found = findings(&records, LATER);
    assert_eq!((found.is_complete(), gaps(&found)), (true, vec![]));
}

#[test]
fn more_holes_than_are_kept_are_no_gaps_but_an_error() {
    let even = (0..=200_000).step_by(2);
    let records: Vec<_> = even.map(|number| record(number, &json!({}))).collect();
    let error = proof(&records, LATER).unwrap_err().to_string();
    let expected = "completeness cannot be proved: stream s has 100000 separate ranges of numbers";
    assert!(error.starts_with(expected), "{error}");
}

proptest! {
    #[test]
    fn the_order_of_the_lines_changes_nothing(
        (lines, other) in prop::collection::vec((0_i64..9, 1_i64..12), 1..24)
            .prop_flat_map(|lines| (Just(lines.clone()), Just(lines).prop_shuffle()))
    ) {
        let found = |lines: &[(i64, i64)]| {
            let records: Vec<_> = lines
                .iter()
                .map(|(number, next)| delivery(*number, *next))
                .collect();
            findings(&records, LATER)
        };
        prop_assert_eq!(found(&lines), found(&other));
    }
}

#[test]
fn what_the_filter_wrote_is_compared_in_all_parts() {
    let whole = json!({"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331",
        "body": "GET / success", "severity_number": 9});
    for other in [
        json!({"trace_id": "1af7651916cd43dd8448eb211c80319c"}),
        json!({"span_id": "c7ad6b7169203331"}),
        json!({"body": "GET / failure"}),
        json!({"severity_number": 13}),
        json!({"service.name": "other"}),
    ] {
        let mut repeat = record(0, &whole);
        repeat
            .as_object_mut()
            .unwrap()
            .extend(other.as_object().unwrap().clone());
        let found = findings(&[record(0, &whole), repeat], LATER);
        assert_eq!(found.contradiction_count, 1, "{other}");
    }
}

#[test]
fn a_negative_number_is_damage() {
    let found = findings(&[record(0, &json!({})), record(-1, &json!({}))], LATER);
    assert_eq!((found.damaged_records, found.is_complete()), (1, false));

    let loss = json!({"event_name": "audit.loss", "audit.loss.first_number": 0,
        "audit.loss.last_number": 2, "audit.loss.count": -3, "audit.loss.reason": "buffer_full"});
    let found = findings(&[record(3, &loss)], LATER);
    assert_eq!((found.damaged_records, gaps(&found)), (1, vec![(0, 2)]));
    assert_eq!(found.completeness.streams[0].losses, []);
}
