//! `GET /api/records`.

use serde_json::json;

use crate::common::{Collector, RECEIVED_AT, batch, record, record_at, uids};

async fn with_four_records() -> Collector {
    let collector = Collector::start().await;

    let sent = [
        record(
            "aud_1",
            &[
                ("audit.action", "login"),
                ("user.id", "u1"),
                ("session.id", "s1"),
            ],
        ),
        record(
            "aud_2",
            &[
                ("audit.action", "login"),
                ("user.id", "u2"),
                ("session.id", "s2"),
            ],
        ),
        record(
            "aud_3",
            &[
                ("audit.action", "GET /a&b=ü"),
                ("user.id", "u1"),
                ("session.id", "s1"),
            ],
        ),
        record("aud_4", &[]),
    ];

    assert_eq!(collector.post(batch(&sent)).await.status, 200);

    collector
}

#[tokio::test]
async fn the_newest_come_first() {
    let collector = with_four_records().await;
    assert_eq!(
        uids(&collector.list("").await),
        ["aud_4", "aud_3", "aud_2", "aud_1"]
    );
    assert_eq!(uids(&collector.list("limit=2").await), ["aud_4", "aud_3"]);
}

#[tokio::test]
async fn every_filter_is_an_exact_match() {
    let collector = with_four_records().await;
    let cases: [(&str, &[&str]); 9] = [
        ("action=login", &["aud_2", "aud_1"]),
        ("action=LOGIN", &[]),
        ("action=log%25", &[]),
        ("action=GET+%2Fa%26b%3D%C3%BC", &["aud_3"]),
        ("user=u1", &["aud_3", "aud_1"]),
        ("session=s2", &["aud_2"]),
        ("session=", &[]),
        ("action=login&user=u1&session=s1", &["aud_1"]),
        ("user=u1&limit=1", &["aud_3"]),
    ];

    for (query, expected) in cases {
        assert_eq!(uids(&collector.list(query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn the_default_limit_is_100_and_the_largest_1000() {
    let collector = Collector::start().await;
    for hundred in 0..11 {
        let records: Vec<_> = (0..100)
            .map(|number| record(&format!("aud_{hundred}_{number}"), &[]))
            .collect();
        assert_eq!(collector.post(batch(&records)).await.status, 200);
    }
    assert_eq!(collector.list("").await.len(), 100);
    assert_eq!(collector.list("limit=1000").await.len(), 1000);
}

#[tokio::test]
async fn a_bad_limit_is_refused() {
    let collector = Collector::start().await;
    for limit in ["0", "1001", "-1", "ten", "", "99999999999999999999"] {
        let answer = collector.get(&format!("/api/records?limit={limit}")).await;
        let expected = json!({"code": 3, "message": "limit must be an integer from 1 to 1000"});
        assert_eq!((answer.status, answer.body), (400, expected), "{limit}");
    }
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_by_name() {
    let collector = Collector::start().await;
    for path in [
        "records",
        "sessions",
        "sessions/s1",
        "usage",
        "streams",
        "checkpoints",
    ] {
        collector
            .assert_refused(
                &format!("/api/{path}?actions=login"),
                "unknown query parameter \"actions\"",
            )
            .await;
    }
}

#[tokio::test]
async fn a_parameter_that_is_given_twice_is_refused_by_name() {
    let collector = Collector::start().await;
    collector
        .assert_refused("/api/records?user=a&user=a", "user must not be given twice")
        .await;

    collector
        .assert_refused(
            "/api/sessions?limit=1&limit=2",
            "limit must not be given twice",
        )
        .await;
}

#[tokio::test]
async fn a_value_that_cannot_be_is_refused_by_the_name_of_its_parameter() {
    let collector = Collector::start().await;
    let time = "must be a time as in RFC 3339, a date in UTC such as 2026-11-22, seconds (9 or 10 digits) or \
        nanoseconds (18 or 19 digits) since 1970, or a span back from now such as 15m, 6h or 7d";

    for (path, message) in [
        ("records?from=yesterday", format!("from {time}")),
        ("records?to=2026-7-3", format!("to {time}")),
        (
            "records?from=1783072800000",
            "from has 13 digits, but seconds have 9 or 10, and nanoseconds 18 or 19".to_owned(),
        ),
        (
            "usage?to=2026-07-03T10:00:00",
            "to has no offset from UTC, such as Z or +02:00".to_owned(),
        ),
        (
            "sessions?from=2300-01-01",
            "from is not between 1970 and 2262".to_owned(),
        ),
        (
            "records?cursor=1",
            "cursor: not a cursor that an answer gave".to_owned(),
        ),
        (
            "records?after=-1",
            "after must be an integer from 0".to_owned(),
        ),
        (
            "records?after=1&cursor=1-1",
            "cursor cannot be combined with after".to_owned(),
        ),
        (
            "records?format=csv&cursor=1-1",
            "cursor cannot be combined with an export".to_owned(),
        ),
        (
            "records?format=xml",
            "format must be one of json, ndjson, csv, parquet, ocsf, ecs".to_owned(),
        ),
        (
            "records?format=csv&limit=0",
            "limit must be an integer from 1".to_owned(),
        ),
        (
            "sessions?state=closed",
            "state must be one of open, ended".to_owned(),
        ),
        (
            "sessions?cursor=1-zz",
            "cursor: not a cursor that an answer gave".to_owned(),
        ),
        ("sessions?from=", format!("from {time}")),
        (
            "sessions/s1?limit=1001",
            "limit must be an integer from 1 to 1000".to_owned(),
        ),
        (
            "usage?bucket=2h",
            "bucket must be one of 5m, 15m, 1h, 1d".to_owned(),
        ),
        (
            "usage?from=50d",
            "from must be at most 10000 buckets before to".to_owned(),
        ),
        (
            "checkpoints?format=csv",
            "format must be one of json, ndjson".to_owned(),
        ),
    ] {
        collector
            .assert_refused(&format!("/api/{path}"), &message)
            .await;
    }
}

#[tokio::test]
async fn hostile_questions_have_one_clear_answer() {
    let collector = Collector::start().await;
    let many = |filter: &str| filter.repeat(10_000);
    let cursor = format!("cursor=1-{}", "6".repeat(60_000));

    for (query, message) in [
        (many("q=a&"), "q must not be given twice"),
        (many("a=&"), "unknown query parameter \"a\""),
        (cursor, "cursor: not a cursor that an answer gave"),
    ] {
        let path = format!("/api/records?{query}");
        collector.assert_refused(&path, message).await;
    }
    assert!(collector.list("q=%25").await.is_empty());
}

#[tokio::test]
async fn a_time_range_takes_in_its_beginning_and_not_its_end() {
    let collector = Collector::start().await;
    let ago = |uid: &str, seconds: i64| record_at(uid, seconds, &json!({}));
    collector
        .keep(&[ago("aud_9m", 540), ago("aud_10m", 600), ago("aud_11m", 660)])
        .await;
    let at = RECEIVED_AT - 600 * 1_000_000_000;

    for (query, expected) in [
        ("from=10m".to_owned(), vec!["aud_9m", "aud_10m"]),
        ("to=10m".to_owned(), vec!["aud_11m"]),
        (format!("from={at}&to={}", at + 1), vec!["aud_10m"]),
        (
            format!("from={}", RECEIVED_AT / 1_000_000_000 - 600),
            vec!["aud_9m", "aud_10m"],
        ),
        (
            "from=2026-07-03".to_owned(),
            vec!["aud_9m", "aud_10m", "aud_11m"],
        ),
        ("to=2026-07-03".to_owned(), vec![]),
        (
            "from=2026-07-03T09:50:01.000000001Z".to_owned(),
            vec!["aud_9m", "aud_10m"],
        ),
        (
            "from=2026-07-03T11:50:01.000000002%2B02:00".to_owned(),
            vec!["aud_9m"],
        ),
        ("from=10m&to=11m".to_owned(), vec![]),
    ] {
        assert_eq!(uids(&collector.list(&query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn text_is_found_in_the_action_whatever_the_case_and_has_no_wildcards() {
    let collector = Collector::start().await;
    let action = |uid: &str, action: &str| record(uid, &[("audit.action", action)]);
    let sent = [
        action("aud_1", "GET /50%_off"),
        action("aud_2", "GET /500 off"),
        action("aud_3", r"get /50\%_OFF"),
        action("aud_4", "ÄNDERN"),
        record("aud_5", &[]),
    ];
    assert_eq!(collector.post(batch(&sent)).await.status, 200);

    for (query, expected) in [
        ("q=50%25_off", vec!["aud_1"]),
        ("q=%25", vec!["aud_3", "aud_1"]),
        ("q=_", vec!["aud_3", "aud_1"]),
        ("q=%5C", vec!["aud_3"]),
        ("q=Get+/50", vec!["aud_3", "aud_2", "aud_1"]),
        ("q=%C3%84nder", vec!["aud_4"]),
        ("q=nothing", vec![]),
    ] {
        assert_eq!(uids(&collector.list(query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn a_tail_gives_what_was_stored_later_in_that_order() {
    let collector = Collector::start().await;
    let sent = [("aud_1", 5), ("aud_2", 9), ("aud_3", 1)]
        .map(|(uid, ago)| record_at(uid, ago, &json!({"user.id": "u1"})));
    collector.keep(&sent).await;

    for query in ["after=1", "after=1&user=u1", "after=1&from=1h"] {
        assert_eq!(
            uids(&collector.list(query).await),
            ["aud_2", "aud_3"],
            "{query}"
        );
    }

    let answer = collector.get_ok("/api/records?after=0&limit=1").await;
    assert_eq!(
        (
            uids(answer["records"].as_array().unwrap()),
            &answer["next_cursor"]
        ),
        (vec!["aud_1"], &json!(null))
    );
    assert!(collector.list("after=3").await.is_empty());
}
