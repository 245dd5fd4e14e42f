//! Log lines, and how seldom they come.

use super::*;

fn texts(rig: &mut Rig) -> Vec<String> {
    rig.pipeline
        .poll_notices()
        .into_iter()
        .map(|notice| notice.text)
        .collect()
}

#[test]
fn drops_are_one_line_in_ten_seconds() {
    let mut rig = Rig::new(|settings| settings.buffer.max_records = 4);
    rig.offer(4).send();
    rig.offer(500);
    assert_eq!(
        texts(&mut rig),
        ["records dropped: 1, last reason: buffer_full"]
    );

    rig.pass(Duration::from_secs(5)).offer(500);
    assert_eq!(texts(&mut rig), [""; 0]);

    rig.pass(Duration::from_secs(5));
    let lines = texts(&mut rig);
    assert!(
        lines.contains(&"records dropped: 999, last reason: buffer_full".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn an_outage_is_one_line_in_ten_seconds() {
    let mut rig = Rig::new(|settings| settings.retry.max_backoff = Duration::from_millis(250));
    rig.offer(4);
    for _ in 0..100 {
        if let [sent] = &rig.pass(Duration::from_millis(250)).send()[..] {
            let sent = sent.clone();
            rig.answer(&sent, 503);
        }
    }

    let lines = texts(&mut rig);
    assert!((2..=4).contains(&lines.len()), "{lines:?}");
    assert!(
        lines.iter().all(|line| line.ends_with("last: status 503")),
        "{lines:?}"
    );
}

#[test]
fn refused_reports_are_one_line_in_ten_seconds() {
    let mut rig = Rig::new(|settings| settings.batch.max_records = 1);
    let bad = r#"{"partialSuccess":{"rejectedLogRecords":1}}"#;
    for _ in 0..9 {
        for sent in rig.offer(1).pass(DELAY).send() {
            rig.answer_with(&sent, Some(200), None, bad);
        }
    }

    let lines = texts(&mut rig);
    let refused = lines
        .iter()
        .filter(|line| line.starts_with("loss records refused"))
        .count();

    assert_eq!(refused, 1, "{lines:?}");
}

#[test]
fn each_cause_of_a_refusal_has_a_line_of_its_own_with_its_remedy() {
    let mut rig = Rig::new(|_| {});
    let mut lines = Vec::new();
    for refusal in [
        Refusal::UnknownCluster,
        Refusal::NotTaken,
        Refusal::UnknownCluster,
        Refusal::NotTaken,
    ] {
        rig.offer(1).pass(Duration::from_secs(2));
        assert!(rig.pipeline.poll_callout(rig.now).is_some());

        rig.pipeline.handle_dispatched(Err(refusal), rig.now);
        lines.extend(texts(&mut rig));
    }

    let [unknown, no_host] = &lines[..] else {
        panic!("one line of each in ten seconds: {lines:#?}")
    };
    assert!(
        unknown.contains("no cluster audit") && unknown.contains("audit_cluster.cluster"),
        "{unknown}"
    );
    assert!(
        no_host.contains("no healthy host in cluster audit")
            && no_host.contains("start the collector"),
        "{no_host}"
    );
}

#[test]
fn a_refusal_beside_a_callout_on_its_way_is_an_overflow() {
    let mut rig = Rig::new(|_| {});
    rig.offer(4).send_one();
    rig.refuses = true;
    rig.offer(4).send();
    let lines = texts(&mut rig);
    assert!(
        lines.len() == 1 && lines[0].contains("a circuit breaker is full in cluster audit: raise"),
        "{lines:?}"
    );
}

#[test]
fn an_overflow_that_comes_as_an_answer_is_retried_and_logged() {
    let mut rig = Rig::new(|_| {});
    let sent = rig.offer(4).send_one();
    let body = b"upstream connect error or disconnect/reset before headers. reset reason: overflow";
    let answer = Answer {
        status: Some(503),
        body,
        is_of_envoy: true,
        ..Answer::default()
    };
    rig.pipeline.handle_answer(sent.token, &answer, rig.now);
    let lines = texts(&mut rig);

    assert!(
        lines.len() == 1 && lines[0].contains("a circuit breaker is full"),
        "{lines:?}"
    );

    let again = rig.pass(Duration::from_secs(1)).send_one();
    assert_eq!((again.id, &again.body), (sent.id, &sent.body));
    assert_eq!(rig.answer(&again, 200).count(Counter::Acknowledged), 4);
}

#[test]
fn requests_that_look_like_batches_are_one_line_in_ten_seconds() {
    let mut rig = Rig::new(|_| {});
    let mut lines = Vec::new();
    for _ in 0..9 {
        rig.stats.note_unproven_batch();
        rig.tick();
        lines.extend(texts(&mut rig));
    }

    assert!(
        lines.len() == 1 && lines[0].contains("look like batches of this filter: 1;"),
        "{lines:?}"
    );
}
