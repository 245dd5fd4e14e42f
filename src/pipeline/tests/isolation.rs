//! Failures of a batch, and failures of the configuration.

use std::collections::BTreeSet;

use super::*;

const STEP: Duration = Duration::from_millis(50);

/// The batches that an audit cluster has received.
#[derive(Default)]
struct Seen {
    attempts: usize,
    taken: BTreeSet<u64>,
    /// Numbers that it has taken more than once.
    twice: BTreeSet<u64>,
    lines: Vec<Notice>,
}

impl Seen {
    fn take(&mut self, sent: &Sent) {
        for number in sent.numbers() {
            if !self.taken.insert(number) {
                self.twice.insert(number);
            }
        }
    }

    fn lines(&self, start: &str) -> usize {
        self.lines
            .iter()
            .filter(|line| line.text.starts_with(start))
            .count()
    }
}

impl Rig {
    /// Lets time pass in small steps, captures a record now and then, and answers each attempt with
    /// the status of `judge`.
    fn live(
        &mut self,
        time: Duration,
        every: Option<Duration>,
        seen: &mut Seen,
        judge: &mut dyn FnMut(&Sent) -> u16,
    ) {
        let end = self.now.uptime + time;
        let mut due = self.now.uptime;
        while self.now.uptime < end {
            if let Some(every) = every.filter(|_| self.now.uptime >= due) {
                self.offer(1);
                due += every;
            }

            self.pass(STEP);
            loop {
                let sent = self.send();
                if sent.is_empty() {
                    break;
                }
                for sent in sent {
                    self.answer_as_judged(&sent, seen, judge);
                }
            }

            seen.lines.extend(self.pipeline.poll_notices());
        }
    }

    fn answer_as_judged(
        &mut self,
        sent: &Sent,
        seen: &mut Seen,
        judge: &mut dyn FnMut(&Sent) -> u16,
    ) {
        seen.attempts += 1;
        let status = judge(sent);
        if status == 200 {
            seen.take(sent);
        }
        self.answer(sent, status);
    }

    /// As [`Self::started`], whatever the size of a batch.
    fn begun(&mut self) -> &mut Self {
        self.offer(1).pass(DELAY);
        for sent in self.send() {
            self.answer(&sent, 200);
        }
        self
    }

    fn rejected(&self) -> u64 {
        self.count(Counter::Rejected)
    }
}

/// Answers `status` to every batch with one of these numbers, else 200.
fn refusing(status: u16, bad: &[u64]) -> impl FnMut(&Sent) -> u16 {
    move |sent| {
        if sent.numbers().iter().any(|number| bad.contains(number)) {
            status
        } else {
            200
        }
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Batches of a hundred records, and room for many.
fn large(settings: &mut PipelineSettings) {
    settings.batch.max_records = 100;
    settings.buffer.max_records = 10_000;
    settings.buffer.max_bytes = 1 << 24;
}

/// All numbers below the next one are taken, but for these.
#[track_caller]
fn assert_taken_but(rig: &Rig, seen: &Seen, bad: &[u64]) {
    let expected: BTreeSet<u64> = (0..rig.pipeline.numbers_given_out())
        .filter(|number| !bad.contains(number))
        .collect();
    assert_eq!(seen.taken, expected);
    assert!(seen.twice.is_empty(), "{:?}", seen.twice);
    assert_eq!(rig.rejected(), bad.len() as u64);
    rig.is_empty();
}

#[test]
fn a_configuration_that_is_refused_from_the_start_loses_nothing_and_makes_few_callouts() {
    for status in [400, 413, 415, 422, 500, 403, 404] {
        let mut rig = Rig::new(large);
        rig.offer(250);
        let mut seen = Seen::default();
        rig.live(seconds(600), Some(seconds(5)), &mut seen, &mut |_| status);

        assert_eq!(rig.rejected(), 0, "{status}");
        assert!(
            seen.attempts < 12 + 600 / 8,
            "{status}: {} callouts in ten minutes",
            seen.attempts
        );

        let lines = seen.lines("audit cluster does not acknowledge");
        assert!((30..=61).contains(&lines), "{status}: {lines}");

        rig.live(seconds(60), None, &mut seen, &mut |_| 200);
        assert_taken_but(&rig, &seen, &[]);
    }
}

#[test]
fn the_line_of_a_refused_configuration_names_the_remedy() {
    for (status, remedy) in [
        (400, "; check audit_cluster.format and audit_cluster.path"),
        (413, "; lower batch.max_bytes"),
        (415, "; check audit_cluster.format"),
        (401, "; check audit_cluster.headers"),
        (404, "; check audit_cluster.path"),
    ] {
        let mut rig = Rig::new(large);
        rig.offer(100);
        let mut seen = Seen::default();
        rig.live(seconds(60), None, &mut seen, &mut |_| status);
        let last = seen.lines.last().unwrap();

        assert!(
            last.level == Level::Warn && last.text.ends_with(&format!("status {status}{remedy}")),
            "{last:?}"
        );
    }
}

#[test]
fn a_configuration_that_is_refused_after_a_good_start_loses_nothing() {
    for status in [400, 415, 422, 500] {
        let mut rig = Rig::new(large);
        let mut seen = Seen::default();
        rig.live(seconds(5), Some(STEP), &mut seen, &mut |_| 200);
        rig.live(seconds(300), Some(seconds(1)), &mut seen, &mut |_| status);
        assert_eq!(rig.rejected(), 0, "{status}");
        rig.live(seconds(60), None, &mut seen, &mut |_| 200);
        assert_taken_but(&rig, &seen, &[]);
    }
}

#[test]
fn what_is_bad_among_refused_ones_is_known_when_the_first_good_one_is_taken() {
    let mut rig = Rig::new(large);
    rig.offer(150);
    let mut seen = Seen::default();
    rig.live(seconds(600), None, &mut seen, &mut |_| 400);
    rig.live(
        seconds(60),
        Some(STEP),
        &mut seen,
        &mut refusing(400, &[17, 120]),
    );
    rig.live(seconds(2), None, &mut seen, &mut |_| 200);

    assert_taken_but(&rig, &seen, &[17, 120]);
}

#[test]
fn bad_records_among_good_ones_are_soon_rejected() {
    for bad in [
        vec![30],
        vec![30, 31],
        vec![30, 77],
        vec![3, 50, 51, 52, 90, 99],
    ] {
        let mut rig = Rig::new(large);
        let mut seen = Seen::default();
        rig.begun().offer(120);
        rig.live(
            seconds(5),
            Some(STEP * 2),
            &mut seen,
            &mut refusing(400, &bad),
        );

        assert_eq!(rig.rejected(), bad.len() as u64, "{bad:?}");
        assert!(
            seen.attempts < 20 + bad.len() * 20,
            "{bad:?}: {}",
            seen.attempts
        );

        rig.live(seconds(2), None, &mut seen, &mut |_| 200);
        seen.taken.extend([0, 1]);
        assert_taken_but(&rig, &seen, &bad);
        assert_eq!(seen.lines("audit cluster does not"), 0, "{:?}", seen.lines);
    }
}

#[test]
fn bad_records_without_any_other_traffic_are_judged_by_the_good_ones_beside_them() {
    for bad in 0..8 {
        for count in [1, 2, 7] {
            let mut rig = Rig::new(large);
            rig.offer(count);
            let mut seen = Seen::default();
            rig.live(seconds(20), None, &mut seen, &mut refusing(400, &[bad]));
            let bad: Vec<u64> = (bad <= count as u64).then_some(bad).into_iter().collect();
            assert_taken_but(&rig, &seen, &bad);
        }
    }
}

#[test]
fn a_batch_of_bad_records_only_waits_for_others_and_is_rejected_then() {
    let bad: Vec<u64> = (0..30).collect();
    let mut rig = Rig::new(|settings| {
        large(settings);
        settings.batch.max_records = 30;
    });
    rig.offer(29);
    let mut seen = Seen::default();
    rig.live(seconds(120), None, &mut seen, &mut refusing(400, &bad));

    assert_eq!(
        rig.rejected(),
        0,
        "as far as is known, everything is refused"
    );

    rig.live(
        seconds(90),
        Some(seconds(1)),
        &mut seen,
        &mut refusing(400, &bad),
    );
    rig.live(seconds(2), None, &mut seen, &mut |_| 200);

    assert_taken_but(&rig, &seen, &bad);
}

#[test]
fn where_every_batch_has_a_bad_record_a_good_one_is_soon_found() {
    let bad: Vec<u64> = (0..420).filter(|number| number % 5 == 0).collect();
    let mut rig = Rig::new(large);
    rig.offer(299);
    let mut seen = Seen::default();
    rig.live(
        seconds(60),
        Some(seconds(1)),
        &mut seen,
        &mut refusing(400, &bad),
    );

    assert!(rig.rejected() > 20, "{}", rig.rejected());

    rig.live(
        seconds(120),
        Some(seconds(1)),
        &mut seen,
        &mut refusing(400, &bad),
    );
    rig.live(seconds(2), None, &mut seen, &mut |_| 200);

    assert_taken_but(&rig, &seen, &bad);
}

#[test]
fn one_batch_that_always_fails_is_isolated_and_the_others_go_on() {
    for status in [500, 503, 403, 408] {
        let mut rig = Rig::new(large);
        rig.begun().offer(100);
        let bad = [57];
        let mut seen = Seen::default();
        rig.live(
            seconds(6),
            Some(STEP),
            &mut seen,
            &mut refusing(status, &bad),
        );
        let newest = rig.pipeline.numbers_given_out();

        assert!(
            seen.taken.iter().any(|number| *number > newest - 30),
            "{status}: {:?}",
            seen.taken.last()
        );

        rig.live(
            seconds(75),
            Some(STEP),
            &mut seen,
            &mut refusing(status, &bad),
        );

        assert_eq!(rig.rejected(), 1, "{status}");
        assert!(seen.attempts < 62 * 2 + 80, "{status}: {}", seen.attempts);

        rig.live(seconds(2), None, &mut seen, &mut |_| 200);
        seen.taken.extend([0, 1]);
        assert_taken_but(&rig, &seen, &bad);
        assert!(
            (1..=2).contains(&seen.lines("audit cluster does not")),
            "{:?}",
            seen.lines
        );
        assert!(
            (2..=7).contains(&seen.lines("batches fail while others")),
            "{:?}",
            seen.lines
        );
    }
}

#[test]
fn no_time_out_of_a_suspect_takes_more_than_one_place() {
    let mut rig = Rig::new(|settings| settings.batch.max_records = 1);
    rig.begun();
    // Four batches that hang, again and again.
    let bad: Vec<u64> = (2..6).collect();
    rig.offer(4);
    let mut open: Vec<Sent> = Vec::new();
    let mut most = 0;

    for _ in 0..2000 {
        rig.offer(1).pass(STEP);
        for sent in rig.send() {
            if sent.numbers().iter().any(|number| bad.contains(number)) {
                open.push(sent);
            } else {
                rig.answer(&sent, 200);
            }
        }
        let in_flight = usize::try_from(rig.gauge(Gauge::InFlightBatches)).unwrap();
        most = if rig.now.uptime > seconds(1015) {
            most.max(in_flight)
        } else {
            0
        };
    }

    assert_eq!(most, 1, "three places are left to the others");
    assert_eq!(rig.count(Counter::Rejected), 0, "not yet proven");
    assert!(
        rig.gauge(Gauge::BufferRecords) <= 5,
        "the others are delivered"
    );
    assert!(open.len() > 10);
}

#[test]
fn failures_of_configuration_or_load_reject_no_record() {
    for (status, retry_after) in [
        (401, None),
        (404, None),
        (415, None),
        (302, None),
        (429, None),
        (503, Some("1")),
    ] {
        let mut rig = Rig::new(|settings| settings.batch.max_records = 1);
        rig.begun().offer(1);
        for _ in 0..300 {
            rig.offer(1).pass(seconds(5));
            for sent in rig.send() {
                match sent.numbers()[..] {
                    [2] => rig.answer_with(&sent, Some(status), retry_after, ""),
                    _ => rig.answer(&sent, 200),
                };
            }
        }

        assert_eq!(
            (rig.rejected(), rig.count(Counter::BatchesSplit)),
            (0, 0),
            "{status}"
        );
        assert!(rig.count(Counter::Acknowledged) > 250, "{status}");

        let held = rig.pipeline.unacknowledged().unwrap();
        assert!(held.first == 2 && held.count < 40, "{status} {held:?}");
    }
}

#[test]
fn an_audit_cluster_that_fails_every_other_time_loses_and_doubles_nothing() {
    for every in [STEP, STEP * 7, seconds(1), seconds(3)] {
        for max_records in [1, 4, 100] {
            let mut rig = Rig::new(|settings| {
                large(settings);
                settings.batch.max_records = max_records;
            });
            let (mut seen, mut fails) = (Seen::default(), false);
            rig.live(seconds(600), Some(every), &mut seen, &mut |_| {
                fails = !fails;
                if fails { 503 } else { 200 }
            });
            assert_eq!(rig.rejected(), 0, "{every:?} {max_records}");
            let lines = seen.lines.len();
            assert!(
                lines <= 3 * 61,
                "{lines} lines in ten minutes, of three kinds"
            );
            rig.live(seconds(120), None, &mut seen, &mut |_| 200);
            assert_taken_but(&rig, &seen, &[]);
        }
    }
}

/// Each tick sends retries, then new batches: a failure in step with that hits the same batch each
/// time.
#[test]
fn failures_in_step_with_the_ticks_reject_nothing() {
    for (initial, most) in [(1, 1), (10, 250), (250, 250), (250, 1000)] {
        let mut rig = Rig::new(|settings| {
            large(settings);
            settings.batch.max_records = 1;
            settings.retry.initial_backoff = Duration::from_millis(initial);
            settings.retry.max_backoff = Duration::from_millis(most);
        });
        let mut fails = false;

        for _ in 0..4 * 1800 {
            rig.offer_immediate(1).pass(Duration::from_millis(250));
            while let sent = rig.send()
                && !sent.is_empty()
            {
                for sent in sent {
                    fails = !fails;
                    rig.answer(&sent, if fails { 503 } else { 200 });
                }
            }
        }

        assert_eq!(rig.rejected(), 0, "{initial} to {most} ms");
    }
}

#[test]
fn random_failures_and_short_outages_reject_nothing() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut rig = Rig::new(large);
        let mut seen = Seen::default();
        for _ in 0..20 {
            rig.live(seconds(20), Some(STEP * 3), &mut seen, &mut |_| {
                if random.u8(..10) < 3 { 503 } else { 200 }
            });
            rig.live(seconds(3), Some(STEP * 3), &mut seen, &mut |_| 500);
        }

        rig.live(seconds(120), None, &mut seen, &mut |_| 200);
        assert_taken_but(&rig, &seen, &[]);
    }
}

#[test]
fn the_limits_of_retries_hold_for_batches_that_fail_alone() {
    let mut rig = Rig::new(|settings| {
        settings.batch.max_records = 1;
        settings.retry.max_attempts = Some(5);
    });
    rig.begun().offer(1);
    let mut seen = Seen::default();
    rig.live(
        seconds(60),
        Some(seconds(1)),
        &mut seen,
        &mut refusing(500, &[2]),
    );
    assert_eq!(
        (rig.rejected(), rig.count(Counter::DroppedMaxAttempts)),
        (0, 1)
    );

    let mut rig = Rig::new(|settings| {
        settings.batch.max_records = 1;
        settings.retry.max_age = Some(seconds(3));
    });
    rig.begun().offer(1);
    rig.live(
        seconds(60),
        Some(seconds(1)),
        &mut seen,
        &mut refusing(500, &[2]),
    );
    assert_eq!((rig.rejected(), rig.count(Counter::DroppedMaxAge)), (0, 1));
}

#[test]
fn a_bad_record_is_rejected_at_once_where_it_has_one_attempt_only() {
    let mut rig = Rig::new(|settings| settings.retry.max_attempts = Some(1));
    let mut seen = Seen::default();
    rig.begun().offer(4);
    rig.live(
        seconds(10),
        Some(STEP * 4),
        &mut seen,
        &mut refusing(400, &[3]),
    );

    assert_eq!(
        rig.rejected() + rig.count(Counter::DroppedMaxAttempts),
        1,
        "and no other one"
    );
}

#[test]
fn a_held_request_is_refused_with_its_receipt_which_is_kept_until_it_is_known_to_be_bad() {
    let mut rig = Rig::new(|_| {});
    rig.begun();
    let mut seen = Seen::default();
    let number = rig.pipeline.numbers_given_out();
    let ticket = rig.hold();
    rig.live(STEP, None, &mut seen, &mut |_| 400);

    assert_eq!(
        (rig.decisions(), rig.rejected()),
        (vec![(ticket, false)], 0)
    );

    rig.live(
        seconds(4),
        Some(STEP * 4),
        &mut seen,
        &mut refusing(400, &[number]),
    );

    assert_eq!((rig.decisions(), rig.rejected()), (vec![], 1));
}

#[test]
fn a_successor_judges_anew() {
    let mut rig = Rig::new(|settings| settings.batch.max_records = 1);
    let mut seen = Seen::default();
    rig.begun()
        .live(seconds(5), Some(STEP), &mut seen, &mut |_| 200);
    let bad = rig.pipeline.numbers_given_out();
    rig.offer(1);
    rig.live(STEP, None, &mut seen, &mut |_| 400);
    rig.pipeline.handle_end(rig.now);
    let handed_over = rig.pipeline.hand_over(rig.now).unwrap();
    rig.publish();
    let mut next = Rig::in_vm(Uuid::from_u128(9), VM, &rig.shared, large);
    next.now = rig.now;
    next.pipeline.handle_hand_over(handed_over, next.now);
    rig.pipeline.retire();

    // Its own records have other paths and the same numbers.
    let bad_stream = STREAM.to_string();
    let mut judge = |sent: &Sent| {
        if sent.body.contains(&bad_stream) && sent.numbers().contains(&bad) {
            400
        } else {
            200
        }
    };
    next.live(seconds(1), None, &mut seen, &mut judge);
    assert_eq!(next.rejected(), 0, "it may be the configuration");
    next.live(seconds(10), Some(STEP), &mut seen, &mut judge);
    assert_eq!(next.rejected(), 1);
}

#[test]
fn an_answer_that_takes_no_record_proves_nothing_against_others() {
    let mut rig = Rig::new(|settings| settings.batch.max_records = 1);
    rig.begun().offer(1);
    let none = r#"{"partialSuccess":{"rejectedLogRecords":"1"}}"#;
    for _ in 0..100 {
        for sent in rig.offer_immediate(1).pass(DELAY).send() {
            if sent.numbers() == [2] {
                rig.answer(&sent, 400);
            } else {
                rig.answer_with(&sent, Some(200), None, none);
            }
        }
    }

    let held = rig.pipeline.unacknowledged().unwrap();
    assert_eq!(
        (held.first, rig.rejected()),
        (2, rig.count(Counter::BatchesAcknowledged) - 2),
        "all others"
    );
}

#[test]
fn halves_outlive_a_crash_and_their_whole_does_not() {
    let mut rig = Rig::new(large);
    rig.offer(63);
    let mut seen = Seen::default();
    rig.live(seconds(60), None, &mut seen, &mut |_| 400);

    assert!(rig.count(Counter::BatchesSplit) >= 6);

    rig.publish();
    let mut next = Rig::in_vm(Uuid::from_u128(9), Uuid::from_u128(71), &rig.shared, large);
    next.now = rig.now;
    next.pipeline.handle_crash(VM);
    next.live(seconds(60), None, &mut seen, &mut |_| 200);

    assert_eq!(
        (seen.taken.len(), seen.twice.len()),
        (65, 0),
        "and the report of the crash"
    );

    next.is_empty();
}

#[test]
fn the_last_batch_is_not_spoiled_by_one_that_fails_alone() {
    let mut rig = Rig::new(large);
    rig.begun().offer(1);
    let mut seen = Seen::default();
    rig.live(
        seconds(10),
        Some(seconds(1)),
        &mut seen,
        &mut refusing(500, &[2]),
    );
    rig.offer(5);
    rig.pipeline.handle_shutdown(rig.now);
    let sent = rig.send();

    assert!(
        !sent[0].numbers().contains(&2) && sent[0].numbers().len() >= 6,
        "{:?}",
        sent[0].numbers()
    );
}

#[test]
fn the_end_of_the_stream_judges_what_is_left_when_no_traffic_can() {
    let mut rig = Rig::new(|_| {});
    let bad = rig.begun().offer(1).pass(DELAY).send_one();
    rig.pipeline.handle_shutdown(rig.now);
    let end = rig.send_one();
    rig.answer(&end, 200).answer(&bad, 400);
    let mut seen = Seen::default();
    rig.live(
        seconds(100),
        None,
        &mut seen,
        &mut refusing(400, &bad.numbers()),
    );
    assert!(rig.pipeline.is_drained(rig.now) && rig.rejected() == 1);
    assert!(rig.count(Counter::Captured) < 12, "few ends");

    let mut refused = Rig::new(|_| {});
    refused.begun().offer(1);
    refused.pipeline.handle_shutdown(refused.now);
    refused.live(DRAIN_LIMIT - seconds(1), None, &mut seen, &mut |_| 400);
    assert_eq!(
        (refused.rejected(), refused.count(Counter::Captured)),
        (0, 4),
        "and none again and again"
    );
}
