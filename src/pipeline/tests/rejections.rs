//! Records that the audit cluster rejects.

use super::*;

#[test]
fn halves_find_the_bad_record_and_the_others_arrive_once() {
    for bad in 0..9 {
        let mut rig = Rig::new(|settings| settings.batch.max_records = 9);
        rig.offer(8);
        let (mut arrived, mut ids) = (Vec::new(), HashMap::new());
        while rig.count(Counter::Rejected) == 0 {
            for sent in rig.pass(DELAY / 4).send() {
                let first = ids.entry(sent.id).or_insert(sent.numbers());
                assert_eq!(*first, sent.numbers(), "a half has an id of its own");
                if sent.numbers().contains(&bad) {
                    rig.answer(&sent, 400);
                } else {
                    arrived.extend(sent.numbers());
                    rig.answer(&sent, 200);
                }
            }
        }

        arrived.sort_unstable();
        let others: Vec<u64> = (0..9).filter(|number| *number != bad).collect();
        assert_eq!(arrived, others);
        assert_eq!(
            (
                rig.count(Counter::Rejected),
                rig.count(Counter::Acknowledged)
            ),
            (1, 8)
        );
        assert!((3..=4).contains(&rig.count(Counter::BatchesSplit)));

        let report = rig.pass(DELAY).send_one();
        assert_eq!(report.losses(), [loss("rejected", 1, bad, bad)]);

        rig.answer(&report, 200).is_empty();
    }
}

#[test]
fn other_statuses_about_content_split_too() {
    for status in [400, 409, 413, 422] {
        let mut rig = Rig::new(|_| {});
        let sent = rig.offer(4).send_one();
        assert_eq!(rig.answer(&sent, status).send().len(), 2, "{status}");
    }
}

#[test]
fn a_refused_loss_record_is_not_reported_again() {
    let mut rig = Rig::new(|_| {});
    rig.started();
    let sent = rig.offer(4).send_one();
    rig.answer_with(
        &sent,
        Some(200),
        None,
        r#"{"partialSuccess":{"rejectedLogRecords":1}}"#,
    )
    .pass(DELAY);
    let mut reports = Vec::new();

    for _ in 0..100 {
        for sent in rig.offer_immediate(1).pass(DELAY).send() {
            let losses = sent.losses();
            rig.answer(&sent, if losses.is_empty() { 200 } else { 400 });
            reports.extend(losses);
        }
    }

    assert!(
        (3..=6).contains(&reports.len()),
        "one report, some attempts: {}",
        reports.len()
    );
    assert!(
        reports
            .iter()
            .all(|report| *report == loss("rejected", 1, 2, 5)),
        "{reports:?}"
    );

    rig.is_empty();
    assert_eq!(rig.count(Counter::Rejected), 2);

    let lines: Vec<_> = rig.pipeline.poll_notices();
    let line = "loss records refused by the audit cluster: 1, last: count 1, numbers 2 to 5, reason rejected";
    assert!(
        lines.contains(&Notice {
            level: Level::Error,
            text: line.to_owned()
        }),
        "{lines:?}"
    );
}

#[test]
fn partial_success_counts_and_reports() {
    let json = r#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"x"}}"#;
    for body in [json, "\n\x05\x08\x03\x12\x01x"] {
        let mut rig = Rig::new(|_| {});
        rig.started();
        let sent = rig.offer(4).send_one();
        rig.answer_with(&sent, Some(200), None, body);

        assert_eq!(
            (
                rig.count(Counter::Acknowledged),
                rig.count(Counter::Rejected)
            ),
            (3, 3)
        );

        let report = rig.pass(DELAY).send_one();
        assert_eq!(report.losses(), [loss("rejected", 3, 2, 5)]);

        rig.answer(&report, 200).is_empty();
    }
}

#[test]
fn partial_success_cannot_reject_more_than_was_sent() {
    let mut rig = Rig::new(|_| {});
    let sent = rig.offer(1).pass(DELAY).send_one();
    rig.answer_with(
        &sent,
        Some(200),
        None,
        r#"{"partialSuccess":{"rejectedLogRecords":99}}"#,
    );

    assert_eq!(
        (
            rig.count(Counter::Acknowledged),
            rig.count(Counter::Rejected)
        ),
        (0, 2)
    );
}

#[test]
fn an_audit_cluster_that_takes_nothing_does_not_keep_it_busy() {
    let mut rig = Rig::new(|_| {});
    rig.offer(1);
    let all = r#"{"partialSuccess":{"rejectedLogRecords":"1000"}}"#;
    let mut batches = 0;

    for _ in 0..50 {
        for sent in rig.pass(DELAY).send() {
            rig.answer_with(&sent, Some(200), None, all);
            batches += 1;
        }
    }

    assert_eq!(batches, 2, "the records, and one report");

    rig.is_empty();
}
