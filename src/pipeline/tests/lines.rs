//! Lines for the log, and how seldom they come.

use super::*;

fn texts(rig: &mut Rig) -> Vec<String> {
    rig.pipeline.poll_notices().into_iter().map(|notice| notice.text).collect()
}

#[test]
fn drops_are_one_line_in_ten_seconds() {
    let mut rig = Rig::new(|settings| settings.buffer.max_records = 4);
    rig.offer(4).send();
    rig.offer(500);
    assert_eq!(texts(&mut rig), ["records dropped: 1, last reason: buffer_full"]);
    rig.pass(Duration::from_secs(5)).offer(500);
    assert_eq!(texts(&mut rig), [""; 0]);
    rig.pass(Duration::from_secs(5));
    let lines = texts(&mut rig);
    assert!(lines.contains(&"records dropped: 999, last reason: buffer_full".to_owned()), "{lines:?}");
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
    assert!(lines.iter().all(|line| line.ends_with("last: status 503")), "{lines:?}");
}

#[test]
fn refused_reports_are_one_line_in_ten_seconds() {
    let mut rig = Rig::new(|settings| settings.batch.max_records = 1);
    for _ in 0..9 {
        for sent in rig.offer(1).pass(DELAY).send() {
            rig.answer(&sent, 400);
        }
    }
    let lines = texts(&mut rig);
    let refused = lines.iter().filter(|line| line.starts_with("loss records refused")).count();
    assert_eq!(refused, 1, "{lines:?}");
}

#[test]
fn an_unknown_peer_is_told_once() {
    let mut rig = Rig::new(|_| {});
    for _ in 0..9 {
        rig.pipeline.handle_unknown_peer();
    }
    let lines = rig.pipeline.poll_notices();
    assert_eq!((lines.len(), lines[0].level), (1, Level::Warn));
}
