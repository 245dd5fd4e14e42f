//! `GET /api/usage`: exact numbers.

use serde_json::{Value, json};

use crate::common::{Collector, RECEIVED_AT, record_at};

const SECOND: i64 = 1_000_000_000;
const BUCKET: i64 = 300;

/// The start of the bucket that contains the time this many seconds before receipt.
fn bucket(seconds_ago: i64, length: i64) -> i64 {
    let seconds = RECEIVED_AT / SECOND - seconds_ago;
    seconds - seconds % length
}

/// `count` requests of a user in the bucket that starts at `start`, in seconds since the Unix
/// epoch.
fn requests(tag: &str, start: i64, user: Option<&str>, count: i64) -> Vec<Value> {
    let mut attributes = json!({"audit.rule": "check"});
    if let Some(user) = user {
        attributes["user.id"] = user.into();
    }
    let ago = RECEIVED_AT / SECOND - start;
    (0..count)
        .map(|number| record_at(&format!("{tag}_{number}"), ago - number, &attributes))
        .collect()
}

fn seconds(bucket: &Value) -> i64 {
    bucket["start_unix_nano"]
        .as_str()
        .unwrap()
        .parse::<i64>()
        .unwrap()
        / SECOND
}

fn near(value: &Value, expected: f64) {
    assert!(
        (value.as_f64().unwrap() - expected).abs() < 1e-9,
        "{value} {expected}"
    );
}

#[tokio::test]
async fn a_bucket_has_exact_numbers_whatever_the_batches() {
    let collector = Collector::start().await;
    let start = bucket(3600, BUCKET);
    collector.keep(&requests("a", start, Some("u1"), 5)).await;
    collector
        .keep(&requests("b", start + 10, Some("u2"), 2))
        .await;
    collector
        .keep(&requests("c", start + 20, Some("u1"), 4))
        .await;
    collector.keep(&requests("d", start + 30, None, 3)).await;

    let answer = collector.get_ok("/api/usage").await;
    assert_eq!(
        (&answer["rule"], &answer["bucket_seconds"]),
        (&json!("check"), &json!(300))
    );

    let [found] = answer["buckets"].as_array().unwrap().as_slice() else {
        panic!("{answer}")
    };
    assert_eq!(seconds(found), start);
    assert_eq!(
        (&found["requests"], &found["unique_users"]),
        (&json!(14), &json!(2))
    );

    // 9 and 2 requests: the mean is 5.5, and each differs from it by 3.5.
    near(&found["mean_per_user"], 5.5);
    near(&found["stddev_per_user"], 3.5);

    let users = json!([{"user_id": "u1", "requests": 9}, {"user_id": "u2", "requests": 2}]);
    assert_eq!(answer["users"], users);
}

#[tokio::test]
async fn a_longer_bucket_counts_a_user_once() {
    let collector = Collector::start().await;
    let hour = bucket(3 * 3600, 3600);
    let mut all = requests("a", hour, Some("u1"), 2);
    all.extend(requests("b", hour + BUCKET, Some("u1"), 3));
    all.extend(requests("c", hour + 2 * BUCKET, Some("u2"), 1));
    all.extend(requests("d", hour + 2 * BUCKET, None, 4));
    all.extend(requests("e", hour + 3600, Some("u2"), 1));
    collector.keep(&all).await;

    let answer = collector.get_ok("/api/usage?bucket=1h").await;
    let [first, second] = answer["buckets"].as_array().unwrap().as_slice() else {
        panic!("{answer}")
    };

    assert_eq!((seconds(first), seconds(second)), (hour, hour + 3600));
    assert_eq!(
        (&first["requests"], &first["unique_users"]),
        (&json!(10), &json!(2))
    );
    near(&first["mean_per_user"], 3.0);
    near(&first["stddev_per_user"], 2.0);
    assert_eq!(
        (&second["requests"], &second["unique_users"]),
        (&json!(1), &json!(1))
    );

    for (name, length, count) in [("5m", 300, 4), ("15m", 900, 2), ("1d", 86_400, 1)] {
        let answer = collector.get_ok(&format!("/api/usage?bucket={name}")).await;
        let buckets = answer["buckets"].as_array().unwrap();
        assert_eq!(
            (&answer["bucket_seconds"], buckets.len()),
            (&json!(length), count),
            "{name}"
        );

        assert_eq!(
            buckets
                .iter()
                .map(|bucket| bucket["requests"].as_i64().unwrap())
                .sum::<i64>(),
            11,
            "{name}"
        );

        assert_eq!(
            answer["users"],
            json!([{"user_id": "u1", "requests": 5}, {"user_id": "u2", "requests": 2}])
        );
    }
}

#[tokio::test]
async fn a_range_takes_in_whole_buckets_and_the_default_is_six_hours() {
    let collector = Collector::start().await;
    let mut all = requests("a", bucket(7 * 3600, BUCKET), Some("u1"), 1);
    all.extend(requests("b", bucket(5 * 3600, BUCKET) + 7, Some("u1"), 1));
    all.extend(requests("c", bucket(600, BUCKET), Some("u1"), 1));
    collector.keep(&all).await;

    let count = async |query: &str| {
        collector.get_ok(&format!("/api/usage?{query}")).await["buckets"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count("").await, 2);

    assert_eq!(count("from=8h").await, 3);
    assert_eq!(
        count("from=5h&to=4h").await,
        1,
        "also what lies in the bucket, but before the range"
    );
    assert_eq!(count("from=8h&to=6h").await, 1);
    assert_eq!(count("rule=other").await, 0);
    assert_eq!(count("from=1m&to=2m").await, 0);
}

#[tokio::test]
async fn only_the_twenty_users_with_most_requests_are_named() {
    let collector = Collector::start().await;
    let start = bucket(600, BUCKET);
    let all: Vec<_> = (1..=25)
        .flat_map(|user: i64| {
            requests(
                &format!("u{user}"),
                start,
                Some(&format!("user-{user:02}")),
                1 + user / 25,
            )
        })
        .collect();
    collector.keep(&all).await;

    let answer = collector.get_ok("/api/usage").await;
    let users = answer["users"].as_array().unwrap();
    assert_eq!(
        (users.len(), &users[0], &users[1]["user_id"]),
        (
            20,
            &json!({"user_id": "user-25", "requests": 2}),
            &json!("user-01")
        )
    );
}

#[tokio::test]
async fn an_acknowledged_exchange_is_one_request_and_a_record_without_a_rule_none() {
    let collector = Collector::start().await;

    collector
        .keep(&[
            record_at(
                "aud_1",
                9,
                &json!({"audit.rule": "check", "audit.stage": "received"}),
            ),
            record_at(
                "aud_2",
                9,
                &json!({"audit.rule": "check", "audit.stage": "complete"}),
            ),
            record_at(
                "aud_4",
                9,
                &json!({"audit.rule": "check", "audit.stage": "started"}),
            ),
            record_at("aud_3", 9, &json!({"user.id": "u1"})),
        ])
        .await;

    let answer = collector.get_ok("/api/usage").await;
    assert_eq!(
        (
            &answer["buckets"][0]["requests"],
            &answer["buckets"][0]["mean_per_user"]
        ),
        (&json!(1), &json!(0.0))
    );
    assert_eq!(answer["users"], json!([]));
}
