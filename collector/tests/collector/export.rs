//! `GET /api/records?format=ndjson` and `format=csv`: all records, oldest first.

use serde_json::{Value, json};

use crate::common::{Collector, RECEIVED_AT, record, record_at, uids};

/// The formats that are text.
const FORMATS: [&str; 4] = ["ndjson", "csv", "ocsf", "ecs"];

async fn export(collector: &Collector, query: &str) -> String {
    let answer = collector.get(&format!("/api/records?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text()
}

async fn lines(collector: &Collector, query: &str) -> Vec<Value> {
    let text = export(collector, &format!("format=ndjson&{query}")).await;
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// CSV rows as maps by column name.
async fn rows(collector: &Collector, query: &str) -> Vec<Value> {
    let text = export(collector, &format!("format=csv&{query}")).await;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader.deserialize::<std::collections::HashMap<String, String>>();
    rows.map(|row| json!(row.unwrap())).collect()
}

/// More than two pages; three pages of records share one time.
async fn with_2500_records() -> Collector {
    let collector = Collector::start().await;
    let all: Vec<_> = (0..2500)
        .map(|number| {
            record_at(
                &format!("aud_{number}"),
                (2500 - number) / 3,
                &json!({"user.id": if number % 2 == 0 { "even" } else { "odd" }}),
            )
        })
        .collect();
    collector.keep(&all).await;

    collector
}

#[tokio::test]
async fn an_export_is_complete_and_in_order() {
    let collector = with_2500_records().await;
    let expected: Vec<_> = (0..2500).map(|number| format!("aud_{number}")).collect();
    let found = lines(&collector, "").await;
    assert_eq!(uids(&found), expected);

    let mut last = found[2499].clone();
    last["flags"] = json!([]);
    assert!(last.as_object_mut().unwrap().remove("time").is_some());
    assert_eq!(
        [last],
        *collector.list("limit=1").await,
        "a line is what the list shows"
    );

    let found = rows(&collector, "").await;
    assert_eq!(uids(&found), expected);

    let even: Vec<_> = expected.iter().step_by(2).collect();
    assert_eq!(
        uids(&lines(&collector, "user=even").await)
            .iter()
            .collect::<Vec<_>>(),
        even
    );

    let after = lines(&collector, "after=1200").await;
    assert_eq!(uids(&after), expected[1200..]);
}

#[tokio::test]
async fn every_line_has_its_time_and_its_flags_as_text() {
    let collector = Collector::start().await;
    let contradiction = record_at("aud_3", 4, &json!({"user.id": "eve"}));
    collector
        .keep(&[
            record_at("aud_1", 0, &json!({})),
            record_at("aud_2", -3600, &json!({})),
            record_at("aud_3", 5, &json!({"user.id": "ann"})),
        ])
        .await;
    collector.keep(&[contradiction]).await;

    let found = lines(&collector, "after=0").await;
    let shown: Vec<_> = found
        .iter()
        .map(|line| (line["time"].as_str(), line["flags"].as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            (Some("2026-07-03T10:00:01.000000001Z"), Some("")),
            (Some("2026-07-03T11:00:01.000000001Z"), Some("clock_skew")),
            (Some("2026-07-03T09:59:56.000000001Z"), Some("conflict")),
        ]
    );
}

/// PostgreSQL takes NUL in no text and in no jsonb: one record could make a whole export unreadable.
#[tokio::test]
async fn an_export_has_no_nul() {
    let collector = Collector::start().await;
    let mut nul = record_at(
        "aud\0",
        1,
        &json!({"user.id": "a\0b", "k\0": r"\u0000", "audit.rule": "\0"}),
    );
    nul["eventName"] = "audit\0http".into();
    nul["body"] = json!({"stringValue": "body\0"});
    let list = json!({"arrayValue": {"values": [{"stringValue": "\0"}]}});
    let attributes = nul["attributes"].as_array_mut().unwrap();
    attributes.push(json!({"key": "list", "value": list}));
    collector.keep(&[nul]).await;

    for format in FORMATS {
        let text = export(&collector, &format!("format={format}")).await;
        let escaped = text.replace(r"\\u0000", "");
        assert!(
            !text.contains('\0') && !escaped.contains(r"\u0000"),
            "{format}: {text}"
        );
        assert!(text.contains("a\u{fffd}b"), "{format}: {text}");
    }

    let line = &lines(&collector, "").await[0];
    assert_eq!(line["log.record.uid"], "aud\u{fffd}");
    assert_eq!(
        line["k\u{fffd}"], r"\u0000",
        "what only looks like one is kept"
    );
    assert_eq!(line["list"], json!(["\u{fffd}"]));
    assert_eq!(line["body"], "body\u{fffd}");
}

#[tokio::test]
async fn an_export_has_no_more_than_its_limit() {
    let collector = with_2500_records().await;
    for limit in [1, 999, 1000, 1001, 2000, 2500, 9999] {
        assert_eq!(
            lines(&collector, &format!("limit={limit}")).await.len(),
            limit.min(2500),
            "{limit}"
        );
    }
}

#[tokio::test]
async fn an_empty_export_has_its_head() {
    let collector = Collector::start().await;
    assert_eq!(export(&collector, "format=ndjson").await, "");
    assert!(
        export(&collector, "format=csv")
            .await
            .starts_with("position,log.record.uid,time,")
    );
}

#[tokio::test]
async fn an_export_is_a_file_of_its_kind() {
    let collector = Collector::start().await;
    for (format, content_type, file) in [
        ("ndjson", "application/x-ndjson", "records.ndjson"),
        (
            "csv",
            "text/csv; charset=utf-8; header=present",
            "records.csv",
        ),
        (
            "parquet",
            "application/vnd.apache.parquet",
            "records.parquet",
        ),
        ("ocsf", "application/x-ndjson", "records.ocsf.ndjson"),
        ("ecs", "application/x-ndjson", "records.ecs.ndjson"),
    ] {
        let answer = collector
            .get(&format!("/api/records?format={format}"))
            .await;
        assert_eq!(answer.headers["content-type"], content_type);
        assert_eq!(
            answer.headers["content-disposition"],
            format!("attachment; filename=\"{file}\"")
        );
    }
}

#[tokio::test]
async fn a_row_has_the_fields_and_all_attributes() {
    let collector = Collector::start().await;
    let said = json!({
        "audit.action": "say \"a\",\nb; é", "audit.sequence.number": 7, "audit.header_conflict": true,
        "user.email": "ann@example.com", "http.route": "/u/{id}", "server.address": "shop", "error.message": "no",
    });
    let mut record = record_at("aud_1", 0, &said);
    record["timeUnixNano"] = "1783072800000000000".into();
    record["observedTimeUnixNano"] = "1783072800000000010".into();
    record["body"] = json!({"stringValue": "GET /"});
    record["traceId"] = "0af7651916cd43dd8448eb211c80319c".into();
    record["spanId"] = "b7ad6b7169203331".into();
    collector.keep(&[record]).await;

    let [row] = rows(&collector, "").await.try_into().unwrap();
    for (column, expected) in [
        ("position", "1"),
        ("time", "2026-07-03T10:00:00.000000000Z"),
        ("time_unix_nano", "1783072800000000000"),
        ("observed_time_unix_nano", "1783072800000000010"),
        ("received_at_unix_nano", &RECEIVED_AT.to_string()),
        ("audit.action", "say \"a\",\nb; é"),
        ("audit.sequence.number", "7"),
        ("service.name", "shop"),
        ("user.id", ""),
        ("user.email", "ann@example.com"),
        ("http.route", "/u/{id}"),
        ("server.address", "shop"),
        ("error.message", "no"),
        ("body", "GET /"),
        ("span_id", "b7ad6b7169203331"),
        ("flags", ""),
    ] {
        assert_eq!(row[column], expected, "{column}");
    }

    let attributes: Value = serde_json::from_str(row["attributes"].as_str().unwrap()).unwrap();
    assert_eq!(
        (
            &attributes["audit.header_conflict"],
            &attributes["audit.action"]
        ),
        (&json!(true), &said["audit.action"])
    );
}

/// Texts that a spreadsheet would run, and others that look like what is made of them.
const FORMULAS: [&str; 14] = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠A", "'=1+1",
    "''", "it's",
];

async fn with_formulas() -> Collector {
    let collector = Collector::start().await;
    let all: Vec<_> = FORMULAS
        .iter()
        .enumerate()
        .map(|(number, text)| {
            record(
                &format!("aud_{number}"),
                &[("user.id", text), ("audit.action", text)],
            )
        })
        .collect();
    collector.keep(&all).await;
    collector
}

#[tokio::test]
async fn a_spreadsheet_takes_no_text_for_a_formula_and_that_can_be_undone() {
    let collector = with_formulas().await;
    let rows = rows(&collector, "").await;
    assert_eq!(rows.len(), FORMULAS.len());
    for (row, text) in rows.iter().zip(FORMULAS) {
        for column in ["user.id", "audit.action"] {
            let cell = row[column].as_str().unwrap();
            assert!(text == "it's" || cell.starts_with('\''), "{cell:?}");
            assert_eq!(cell.strip_prefix('\'').unwrap_or(cell), text);
        }
    }

    assert_eq!(
        lines(&collector, "limit=1").await[0]["user.id"],
        "=1+1",
        "only what is made for spreadsheets is changed"
    );
}

#[tokio::test]
async fn a_program_can_have_texts_as_they_are() {
    let collector = with_formulas().await;
    let rows = rows(&collector, "formulas=raw").await;
    let texts: Vec<_> = rows.iter().map(|row| &row["user.id"]).collect();
    assert_eq!(texts, FORMULAS);

    for query in ["formulas=raw", "formulas=quoted&format=ndjson"] {
        let path = format!("/api/records?{query}");
        collector
            .assert_refused(&path, "formulas needs format=csv")
            .await;
    }
    collector
        .assert_refused(
            "/api/records?format=csv&formulas=no",
            "formulas must be one of quoted, raw",
        )
        .await;
}

#[tokio::test]
async fn a_number_is_no_formula() {
    let collector = Collector::start().await;
    let numbers = json!({"audit.sequence.number": -1, "user.id": -7});
    let mut record = record_at("aud_1", 1, &numbers);
    let duration = json!({"key": "audit.duration_ms", "value": {"doubleValue": -1.5}});
    record["attributes"].as_array_mut().unwrap().push(duration);
    collector.keep(&[record]).await;

    let row = &rows(&collector, "").await[0];
    for (column, cell) in [
        ("audit.sequence.number", "-1"),
        ("user.id", "-7"),
        ("audit.duration_ms", "-1.5"),
    ] {
        assert_eq!(row[column], cell, "{column}");
    }
}
