//! The view of the streams: the columns lead to the same status as the whole state.

use std::collections::BTreeSet;

use audit_collector::completeness::{Life, Moment, Status, StreamReport};
use audit_collector::db::{Connection, DbError};
use audit_collector::ledger::BackgroundTask as _;
use audit_collector::ledger::entry::Entry;
use audit_collector::views::streams::{StreamQuery, StreamStatus, Summary, list, summary};
use audit_collector::views::{Follower, Settings, rebuild};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::fixture::{Fixture, NOW, SECOND, entry_at};
use super::on_both;

on_both! {
    statuses_and_sums_are_those_of_the_whole_state,
    fifty_thousand_streams_are_summed_up,
}

const HOUR: i64 = 3600 * SECOND;
const GRACE: i64 = 300 * SECOND;

/// A record of a stream.
fn of(
    stream: &str,
    received_at: i64,
    number: i64,
    name: &str,
    attributes: &[(&str, Value)],
) -> Entry {
    let mut all = vec![("audit.stream.id", stream.into())];
    all.extend_from_slice(attributes);
    let mut entry = entry_at(received_at, &format!("{stream}_{number}"), number, &all);
    entry.event_name = name.to_owned();
    entry
}

/// Streams of each kind; nine of them.
fn streams() -> Vec<Entry> {
    let plain =
        |stream: &str, received_at, number| of(stream, received_at, number, "audit.http", &[]);
    let end = |stream: &str, number: i64| {
        let next = [("audit.sequence.next", json!(number + 1))];
        of(stream, NOW, number, "audit.stream.end", &next)
    };
    let start = |stream: &str, received_at| {
        let interval = [("audit.stream.alive_interval_ms", json!(30_000))];
        of(stream, received_at, 0, "audit.stream.start", &interval)
    };
    let crash = [
        ("audit.loss.reason", json!("vm_crash")),
        ("audit.loss.count", json!(5)),
        ("audit.loss.first_number", json!(1)),
        ("audit.loss.last_number", json!(5)),
    ];

    vec![
        plain("ended", NOW, 0),
        end("ended", 1),
        plain("crashed", NOW - HOUR, 0),
        of("crashed", NOW - HOUR, 6, "audit.loss", &crash),
        start("alive", NOW),
        start("silent", NOW - HOUR),
        plain("open", NOW, 0),
        plain("open", NOW, 2),
        plain("gap", NOW - HOUR, 0),
        plain("gap", NOW - HOUR, 2),
        plain("old and new", NOW - HOUR, 0),
        plain("old and new", NOW - HOUR, 2),
        plain("old and new", NOW, 5),
        plain("clock ahead", NOW + HOUR, 0),
        plain("clock ahead", NOW + HOUR, 2),
        plain("ended with a gap", NOW, 0),
        end("ended with a gap", 4),
    ]
}

fn follow(connection: &mut dyn Connection, slice: i64) -> Result<(), DbError> {
    let mut follower = Follower::new(Settings::default(), slice);
    while follower.step(connection)? {}
    Ok(())
}

fn listed(
    connection: &mut dyn Connection,
    status: Option<StreamStatus>,
    moment: Moment,
) -> Vec<StreamReport> {
    let query = StreamQuery {
        status,
        before: None,
    };
    list(connection, &query, moment, 100).unwrap()
}

/// The summary at `moment`, after a comparison with all streams.
fn checked(connection: &mut dyn Connection, moment: Moment) -> Summary {
    let of_status = [
        (StreamStatus::Gap, Status::Gap),
        (StreamStatus::Open, Status::Open),
        (StreamStatus::Complete, Status::Complete),
    ]
    .map(|(wanted, status)| {
        let found = listed(connection, Some(wanted), moment);
        assert!(
            found.iter().all(|stream| stream.status == status),
            "{status:?}"
        );
        found
    });
    let counts = of_status.each_ref().map(|found| found.len() as i64);
    let all = of_status.concat();

    let mut others = listed(connection, None, moment);
    let ended = listed(connection, Some(StreamStatus::Ended), moment);
    assert!(ended.iter().all(|stream| stream.status == Status::Complete));
    let settled = ended.len() as i64;
    others.extend(ended.clone());
    let ids = |list: &[StreamReport]| -> BTreeSet<_> {
        list.iter().map(|stream| stream.stream_id.clone()).collect()
    };
    assert_eq!((all.len(), ids(&all)), (9, ids(&others)));

    let silent = listed(connection, Some(StreamStatus::Silent), moment);
    let is_silent = |stream: &&StreamReport| stream.life == Life::Silent;
    assert_eq!(all.iter().filter(is_silent).count(), silent.len());

    let sum = |list: &[StreamReport], number: fn(&StreamReport) -> i64| -> i64 {
        list.iter().map(number).sum()
    };
    let found = summary(connection, moment).unwrap();
    let [gap, open, complete] = counts;
    let expected = Summary {
        status: all.iter().map(|stream| stream.status).max().unwrap(),
        records: 17,
        explained_losses: sum(&all, |stream| stream.explained_losses),
        open_numbers: sum(&all, |stream| stream.open_numbers),
        unexplained_numbers: sum(&all, |stream| stream.unexplained_numbers),
        conflicts: 0,
        gap_streams: gap,
        open_streams: open,
        complete_streams: complete,
        silent_streams: silent.len() as i64,
        ..found.clone()
    };
    assert_eq!(found, expected, "{moment:?}");
    assert_eq!(
        (
            found.ended.streams,
            found.ended.received,
            found.ended.explained_losses
        ),
        (
            settled,
            sum(&ended, |stream| stream.received),
            sum(&ended, |stream| stream.explained_losses)
        )
    );
    found
}

async fn statuses_and_sums_are_those_of_the_whole_state(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    ledger.append(streams()).await.unwrap();

    let at = |now| Moment { now, grace: GRACE };
    fixture
        .with(move |connection| {
            follow(connection, 1000)?;
            for now in [
                NOW,
                NOW + GRACE - 1,
                NOW + GRACE,
                NOW + HOUR,
                NOW + 2 * HOUR,
                NOW - 2 * HOUR,
            ] {
                checked(connection, at(now));
            }

            let now = checked(connection, at(NOW));
            assert_eq!(
                (
                    now.ended.streams,
                    now.ended.received,
                    now.ended.explained_losses
                ),
                (2, 4, 5)
            );
            assert_eq!(
                (now.gap_streams, now.open_streams, now.silent_streams),
                (3, 2, 1)
            );

            audit_collector::db::write(connection, rebuild)?;
            follow(connection, 2)?;
            assert_eq!(checked(connection, at(NOW)), now, "whatever the slices");
            Ok(())
        })
        .await;
}

/// Of 50,000 streams 48,000 have ended, 1,000 are alive, 600 silent, 300 have a gap, and 100 an open
/// number.
const MANY: &str = "INSERT INTO streams (stream_id, last_seen_unix_nano, is_settled, missing, \
    missing_since_unix_nano, missing_until_unix_nano, silent_after_unix_nano, state) \
    WITH RECURSIVE numbers(number) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT number + 1 FROM numbers \
    WHERE number < 49999) SELECT 'stream-' || number, 1800000000000000000 - number, \
    CASE WHEN number >= 2000 THEN 1 ELSE 0 END, CASE WHEN number < 400 THEN 1 ELSE 0 END, \
    CASE WHEN number < 100 THEN 1800000000000000000 WHEN number < 400 THEN 1700000000000000000 END, \
    CASE WHEN number < 100 THEN 1800000000000000000 WHEN number < 400 THEN 1700000000000000000 END, \
    CASE WHEN number < 400 THEN NULL WHEN number < 1000 THEN 1799999999000000000 \
    WHEN number < 2000 THEN 1800000060000000000 END, \
    '{\"received\":[[0,0,1800000000000000000],[2,500,1800000000000000000]]}' FROM numbers";

async fn fifty_thousand_streams_are_summed_up(fixture: Fixture) {
    drop(fixture.ledger().await);
    fixture.change(MANY).await;
    let sums = "INSERT INTO stream_sums VALUES (0, 2000, 1000000, 0), (1, 48000, 24000000, 7)";
    fixture.change(sums).await;
    // As PostgreSQL does by itself after many changes.
    fixture.change("ANALYZE streams").await;

    let moment = Moment {
        now: NOW,
        grace: GRACE,
    };
    let (found, took) = fixture
        .with(move |connection| {
            summary(connection, moment)?;
            let begin = Instant::now();
            Ok((summary(connection, moment)?, begin.elapsed()))
        })
        .await;
    println!("the summary of 50,000 streams takes {took:?}");

    assert_eq!(
        (
            found.gap_streams,
            found.open_streams,
            found.complete_streams
        ),
        (300, 100, 49_600)
    );
    assert_eq!((found.open_numbers, found.unexplained_numbers), (100, 300));
    assert_eq!((found.silent_streams, found.ended.streams), (600, 48_000));
    assert_eq!(
        (found.explained_losses, found.ended.received),
        (7, 24_000_000)
    );
}
