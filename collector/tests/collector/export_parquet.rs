//! `GET /api/records?format=parquet`: the columns with their types, in row groups.

use axum::body::Bytes;
use parquet::basic::{LogicalType, TimeUnit, Type};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use serde_json::json;

use crate::common::{Collector, RECEIVED_AT, record_at};

async fn export(collector: &Collector, query: &str) -> SerializedFileReader<Bytes> {
    let path = format!("/api/records?format=parquet&{query}");
    let answer = collector.get(&path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    SerializedFileReader::new(Bytes::from(answer.bytes)).unwrap()
}

/// The cells of a column, one for each record.
fn cells(reader: &SerializedFileReader<Bytes>, column: &str) -> Vec<Field> {
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| {
        let row = row.unwrap();
        let mut columns = row.get_column_iter();
        columns.find(|(name, _)| *name == column).unwrap().1.clone()
    })
    .collect()
}

fn text(value: &str) -> Field {
    Field::Str(value.to_owned())
}

#[tokio::test]
async fn columns_have_types_and_what_has_another_type_is_null() {
    let collector = Collector::start().await;
    let ids = json!({
        "user.id": "00123", "session.id": "12345678901234567", "audit.sequence.number": 7,
        "http.response.status_code": 200,
    });
    let others = json!({
        "user.id": 7, "audit.sequence.number": "8", "audit.duration_ms": 2, "late": true,
        "http.response.status_code": "teapot",
    });
    collector
        .keep(&[record_at("aud_1", 1, &ids), record_at("aud_2", 0, &others)])
        .await;

    let reader = export(&collector, "").await;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let time = schema
        .columns()
        .iter()
        .find(|it| it.name() == "time")
        .unwrap();
    assert_eq!(time.physical_type(), Type::INT64);
    assert_eq!(
        time.logical_type_ref(),
        Some(&LogicalType::timestamp(true, TimeUnit::NANOS))
    );

    let second = RECEIVED_AT - 1_000_000_000;
    for (column, expected) in [
        ("position", [Field::Long(1), Field::Long(2)]),
        (
            "time_unix_nano",
            [Field::Long(second), Field::Long(RECEIVED_AT)],
        ),
        ("user.id", [text("00123"), text("7")]),
        ("session.id", [text("12345678901234567"), Field::Null]),
        ("audit.sequence.number", [Field::Long(7), Field::Null]),
        ("audit.duration_ms", [Field::Null, Field::Double(2.0)]),
        ("http.response.status_code", [Field::Long(200), Field::Null]),
        ("flags", [text(""), text("")]),
    ] {
        assert_eq!(cells(&reader, column), expected, "{column}");
    }

    for (attributes, value) in cells(&reader, "attributes").iter().zip([&ids, &others]) {
        let Field::Str(attributes) = attributes else {
            panic!("{attributes}");
        };
        let attributes: serde_json::Value = serde_json::from_str(attributes).unwrap();
        for (name, value) in value.as_object().unwrap() {
            assert_eq!(&attributes[name], value);
        }
    }
}

#[tokio::test]
async fn no_cell_has_nul() {
    let collector = Collector::start().await;
    let nul = json!({"user.id": "a\0b", "\0": "\0"});
    collector.keep(&[record_at("aud\0", 1, &nul)]).await;
    let reader = export(&collector, "").await;
    for row in reader.get_row_iter(None).unwrap() {
        for (name, cell) in row.unwrap().get_column_iter() {
            let text = cell.to_string();
            assert!(!text.contains('\0') && !text.contains(r"\u0000"), "{name}");
        }
    }
    assert_eq!(cells(&reader, "user.id"), [text("a\u{fffd}b")]);
}

#[tokio::test]
async fn an_export_without_records_has_its_columns() {
    let collector = Collector::start().await;
    let reader = export(&collector, "").await;
    let metadata = reader.metadata();
    assert_eq!(metadata.num_row_groups(), 0);
    assert_eq!(metadata.file_metadata().schema_descr().num_columns(), 35);
}

/// What is kept back is bounded: the export of a large ledger is sent in pieces.
#[tokio::test]
async fn a_large_export_has_several_row_groups() {
    let collector = Collector::start().await;
    let filler = "x".repeat(20_000);
    let records: Vec<_> = (0..1_000)
        .map(|number| {
            record_at(
                &format!("aud_{number}"),
                1_000 - number,
                &json!({"filler": filler}),
            )
        })
        .collect();
    for some in records.chunks(3) {
        let answer = collector.post(crate::common::batch(some)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    let reader = export(&collector, "limit=999").await;
    let groups = reader.metadata().row_groups();
    assert_eq!(groups.len(), 2);
    assert!(
        groups
            .iter()
            .all(|group| group.total_byte_size() < 18_000_000)
    );
    let positions: Vec<_> = (1..1_000).map(Field::Long).collect();
    assert_eq!(cells(&reader, "position"), positions);
}
