//! Attempts after the first: when, how many at once, and with which bytes.

use super::*;

#[test]
fn an_audit_cluster_that_fails_every_other_time_makes_few_log_lines() {
    let mut rig = Rig::new(|_| {});
    rig.started();
    let mut lines = Vec::new();
    for _ in 0..50 {
        let failed = rig.offer_immediate(1).send_one();
        rig.answer(&failed, 503).pass(Duration::from_millis(300));
        for sent in rig.send() {
            rig.answer(&sent, 200);
        }
        lines.extend(rig.pipeline.poll_notices());
    }

    let again = lines
        .iter()
        .filter(|line| line.text.contains("answers again"))
        .count();

    assert!(
        (1..=3).contains(&again),
        "{again} of {} lines in fifteen seconds",
        lines.len()
    );
}

#[test]
fn only_2xx_is_an_acknowledgement() {
    for status in [200, 202, 204] {
        let mut rig = Rig::new(|_| {});
        let sent = rig.offer(1).pass(DELAY).send_one();
        rig.answer(&sent, status).is_empty();
        assert_eq!(rig.count(Counter::Acknowledged), 2);
    }

    for status in [Some(503), Some(429), Some(404), Some(401), Some(302), None] {
        let mut rig = Rig::new(|_| {});
        let sent = rig.offer(1).pass(DELAY).send_one();
        rig.answer_with(&sent, status, None, "");
        assert_eq!(
            (
                rig.count(Counter::Acknowledged),
                rig.pipeline.unacknowledged().unwrap().count
            ),
            (0, 2)
        );
        assert_eq!(rig.count(Counter::BatchesFailed), 1);
    }
}

#[test]
fn every_attempt_has_the_same_bytes_and_id() {
    let mut rig = Rig::new(|_| {});
    let first = rig.offer(1).pass(DELAY).send_one();
    let mut last = first.clone();
    for attempt in 1..6 {
        rig.answer(&last, 503).pass(Duration::from_secs(31));
        last = rig.send_one();
        assert_eq!((last.id, &last.body), (first.id, &first.body));
        assert_ne!(last.token, first.token);
        assert_eq!(rig.count(Counter::BatchesRetried), attempt);
    }

    rig.answer(&last, 200).is_empty();
}

#[test]
fn others_are_tried_while_one_fails_but_not_many() {
    let mut rig = Rig::new(|_| {});
    rig.offer(80);
    let sent = rig.send();
    rig.answer(&sent[0], 503);
    for sent in &sent[1..] {
        rig.answer(sent, 503);
    }
    let mut tried: Vec<Vec<u64>> = Vec::new();

    for _ in 0..80 {
        let sent = rig.pass(Duration::from_secs(31)).send_one();
        tried.push(sent.numbers());
        rig.answer(&sent, 503);
    }

    tried.sort_unstable();
    tried.dedup();
    let singles = tried.iter().filter(|numbers| numbers.len() == 1).count();
    assert!(
        tried.len() == 4 + singles && (9..=10).contains(&singles),
        "{tried:?}"
    );
    assert_eq!(
        rig.pipeline.intake.unsealed_records(),
        81 - 16 - singles as u64,
        "the rest can still be dropped"
    );
}

#[test]
fn retry_after_is_the_lower_end() {
    let mut rig = Rig::new(|_| {});
    let sent = rig.offer(1).pass(DELAY).send_one();
    rig.answer_with(&sent, Some(429), Some("7"), "")
        .pass(Duration::from_millis(6999))
        .send_none();
    let sent = rig.pass(Duration::from_millis(1)).send_one();
    rig.answer_with(&sent, Some(503), Some("86400"), "")
        .pass(Duration::from_secs(59))
        .send_none();
    rig.pass(Duration::from_secs(1)).send_one();
}

#[test]
fn retry_after_holds_although_another_batch_fails_without_one() {
    let mut rig = Rig::new(|_| {});
    rig.offer(8);
    let sent = rig.send();
    rig.answer_with(&sent[0], Some(429), Some("50"), "")
        .answer(&sent[1], 503);
    rig.pass(Duration::from_secs(49))
        .send_none()
        .pass(Duration::from_secs(1))
        .send_one();
}

#[test]
fn one_probe_while_it_is_down_then_all_again() {
    let mut rig = Rig::new(|_| {});
    rig.offer(40);
    let sent = rig.send();
    for failed in &sent {
        rig.answer(failed, 503);
    }
    let probe = rig.pass(Duration::from_secs(1)).send_one();
    rig.pass(Duration::from_secs(2)).offer(4).send_none();
    rig.answer(&probe, 503).pass(Duration::from_secs(1));
    let probe = rig.send_one();
    rig.answer(&probe, 200);

    assert_eq!(rig.send().len(), FIRST_IN_FLIGHT.bulk, "recovered");

    let lines: Vec<_> = rig.pipeline.poll_notices();
    assert!(
        lines
            .iter()
            .any(|line| line.level == Level::Info && line.text == "audit cluster answers again")
    );
}

#[test]
fn a_refused_callout_is_a_failed_attempt() {
    let mut rig = Rig::new(|_| {});
    rig.refuses = true;
    rig.offer(1).pass(DELAY).send_none();
    assert!(rig.count(Counter::BatchesFailed) >= 1);
    assert_eq!(
        (
            rig.count(Counter::BatchesDispatched),
            rig.count(Counter::Acknowledged)
        ),
        (0, 0)
    );

    rig.refuses = false;
    let sent = rig.pass(Duration::from_secs(31)).send_one();
    assert_eq!(sent.numbers(), [0, 1]);

    rig.answer(&sent, 200).is_empty();
}

#[test]
fn an_answer_that_never_comes_is_given_up() {
    let mut rig = Rig::new(|_| {});
    let first = rig.offer(1).pass(DELAY).send_one();
    rig.pass(TIMEOUT + ANSWER_GRACE - Duration::from_nanos(1))
        .send_none();
    assert_eq!(rig.count(Counter::BatchesFailed), 0);

    rig.pass(Duration::from_nanos(1));
    assert_eq!(rig.count(Counter::BatchesFailed), 1);

    let second = rig.pass(Duration::from_secs(1)).send_one();
    assert_eq!(second.id, first.id);

    rig.answer(&first, 200);
    assert_eq!(
        rig.count(Counter::Acknowledged),
        0,
        "a late answer changes nothing"
    );

    rig.answer(&second, 200).answer(&second, 200).is_empty();
    assert_eq!(rig.count(Counter::Acknowledged), 2);
}

#[test]
fn unknown_tokens_change_nothing() {
    let mut rig = Rig::new(|_| {});
    let sent = rig.offer(4).send_one();
    let stranger = Sent { token: 999, ..sent };
    let before = Stats::clone(&rig.stats);
    rig.answer(&stranger, 200)
        .answer(&stranger, 400)
        .answer(&stranger, 503);
    assert_eq!(*rig.stats, before);
}
