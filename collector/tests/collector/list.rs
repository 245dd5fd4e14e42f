//! `GET /api/records` and `GET /healthz`.

use serde_json::json;

use crate::common::{Collector, batch, record, uids};

async fn with_four_records() -> Collector {
    let collector = Collector::start().await;
    let sent = [
        record("aud_1", &[("audit.action", "login"), ("user.id", "u1"), ("session.id", "s1")]),
        record("aud_2", &[("audit.action", "login"), ("user.id", "u2"), ("session.id", "s2")]),
        record("aud_3", &[("audit.action", "GET /a&b=ü"), ("user.id", "u1"), ("session.id", "s1")]),
        record("aud_4", &[]),
    ];
    assert_eq!(collector.post(batch(&sent)).await.status, 200);
    collector
}

#[tokio::test]
async fn the_newest_come_first() {
    let collector = with_four_records().await;
    assert_eq!(uids(&collector.list("").await), ["aud_4", "aud_3", "aud_2", "aud_1"]);
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
        let records: Vec<_> = (0..100).map(|number| record(&format!("aud_{hundred}_{number}"), &[])).collect();
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
    let answer = collector.get("/api/records?limit=1&actions=login").await;
    let message = "unknown query parameter \"actions\"";
    assert_eq!((answer.status, answer.body), (400, json!({"code": 3, "message": message})));
}

#[tokio::test]
async fn health_is_ok_while_the_store_answers() {
    let collector = Collector::start().await;
    let answer = collector.get("/healthz").await;
    assert_eq!((answer.status, answer.body), (200, json!({"status": "ok"})));
}
