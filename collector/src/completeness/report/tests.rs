//! Reports on streams: gaps, losses, and what is unknown after silence.

use super::super::{Announced, Event, Loss, Sighting, StreamLimits};
use super::*;

const GRACE: i64 = 10;

fn sighting(number: i64, received_at: i64, announced: Announced) -> Sighting<'static> {
    Sighting {
        service: None,
        number,
        received_at,
        observed_at: received_at - 1,
        announced,
    }
}

fn streams(numbers: &[(&str, i64, i64)]) -> Streams {
    let mut streams = Streams::default();
    for &(id, number, received_at) in numbers {
        streams.see(id, sighting(number, received_at, Announced::default()));
    }
    streams
}

#[test]
fn a_young_gap_is_open_and_an_old_one_is_a_gap() {
    let streams = streams(&[("a", 0, 1), ("a", 2, 5)]);

    for (now, status, open, unexplained) in [(14, Status::Open, 1, 0), (15, Status::Gap, 0, 1)] {
        let report = streams.report(Moment { now, grace: GRACE }, 2, 0);
        assert_eq!(
            (
                report.status,
                report.open_numbers,
                report.unexplained_numbers
            ),
            (status, open, unexplained)
        );
    }
}

/// For stream `a` at `now`: its life, since when its records are unknown, and at most how many.
fn known(streams: &Streams, now: i64) -> (Life, Option<i64>, Option<i64>) {
    let report = streams.report(Moment { now, grace: GRACE }, 0, 0);
    assert_eq!(
        report.silent_streams,
        i64::from(report.streams[0].life == Life::Silent)
    );

    let stream = &report.streams[0];
    (
        stream.life,
        stream.unknown_since_unix_nano,
        stream.unknown_at_most,
    )
}

const MILLI: i64 = 1_000_000;

fn started(alive_interval_ms: i64) -> Streams {
    let limits = StreamLimits {
        alive_interval_ms: Some(alive_interval_ms),
        buffer_records: Some(100),
    };

    let mut streams = Streams::default();
    streams.see(
        "a",
        sighting(
            0,
            1000 * MILLI,
            Announced {
                next: Some(2),
                event: Event::Start(limits),
            },
        ),
    );

    streams.see(
        "a",
        sighting(
            1,
            1001 * MILLI,
            Announced {
                next: Some(2),
                event: Event::Other,
            },
        ),
    );

    streams
}

#[test]
fn a_stream_is_silent_after_twice_the_interval() {
    let streams = started(30);
    let since = Some(1001 * MILLI - 1);

    assert_eq!(
        known(&streams, 1061 * MILLI),
        (Life::Alive, since, Some(100))
    );
    assert_eq!(
        known(&streams, 1061 * MILLI + 1),
        (Life::Silent, since, Some(100))
    );
}

#[test]
fn a_stream_that_promises_nothing_is_neither_alive_nor_silent() {
    assert_eq!(known(&started(0), i64::MAX).0, Life::Unknown);
    assert_eq!(
        known(&self::streams(&[("a", 0, 7)]), 8),
        (Life::Unknown, Some(6), None)
    );
}

#[test]
fn nothing_is_unknown_behind_the_end_until_something_comes_behind_it() {
    let mut streams = started(30);

    streams.see(
        "a",
        sighting(
            2,
            1002 * MILLI,
            Announced {
                next: Some(3),
                event: Event::End,
            },
        ),
    );
    assert_eq!(known(&streams, i64::MAX), (Life::Ended, None, Some(0)));

    streams.see(
        "a",
        sighting(
            3,
            1003 * MILLI,
            Announced {
                next: Some(4),
                event: Event::Other,
            },
        ),
    );
    assert_eq!(
        known(&streams, i64::MAX),
        (Life::Silent, Some(1003 * MILLI - 1), Some(100))
    );

    streams.see(
        "a",
        sighting(
            4,
            1004 * MILLI,
            Announced {
                next: Some(5),
                event: Event::End,
            },
        ),
    );
    assert_eq!(known(&streams, i64::MAX).0, Life::Ended);
}

#[test]
fn the_report_of_a_crash_ends_a_stream() {
    let mut streams = started(30);
    let loss = Loss {
        first: 2,
        last: 101,
        count: 100,
        reason: "vm_crash".to_owned(),
        since: 1,
    };

    streams.see(
        "a",
        sighting(
            102,
            1002 * MILLI,
            Announced {
                next: Some(103),
                event: Event::Loss(loss),
            },
        ),
    );

    assert_eq!(known(&streams, i64::MAX), (Life::Crashed, None, Some(0)));
}

#[test]
fn the_worst_stream_gives_the_status_and_the_youngest_comes_first() {
    let streams = streams(&[("a", 0, 1), ("b", 1, 2), ("c", 0, 3)]);
    let report = streams.report(
        Moment {
            now: 100,
            grace: GRACE,
        },
        3,
        0,
    );

    let ids: Vec<_> = report
        .streams
        .iter()
        .map(|stream| (stream.stream_id.as_str(), stream.status))
        .collect();

    assert_eq!(
        ids,
        [
            ("c", Status::Complete),
            ("b", Status::Gap),
            ("a", Status::Complete)
        ]
    );
    assert_eq!(report.status, Status::Gap);
}
